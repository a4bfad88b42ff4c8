# METADATA
# title: Differing
# description: Names claims that are not what they should be, as the reasons of a denial hold them.
package ztfm.lib.differing

# METADATA
# title: Difference
# description: The claim's name, what was seen, and the texts that would do, at most 8 of them.
# scope: document
difference(claim, seen, wanted) := {
	"claim": substring(claim, 0, 128),
	"seen": substring(as_text(seen), 0, 256),
	"wanted": array.slice([substring(as_text(one), 0, 256) | some one in sort(wanted)], 0, 8),
}

# METADATA
# title: Told
# description: The part of a reason that names differences, at most 16 of them; empty where there are none.
# scope: document
told(differences) := {"differences": array.slice(sort(differences), 0, 16)} if {
	count(differences) > 0
} else := {}

# METADATA
# title: As text
# description: A text as it is, a number, a truth or null as JSON, and of anything else what it is.
# scope: document
as_text(value) := value if {
	is_string(value)
} else := json.marshal(value) if {
	not is_object(value)
	not is_array(value)
	not is_set(value)
} else := type_name(value)
