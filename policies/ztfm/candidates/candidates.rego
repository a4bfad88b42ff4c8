# METADATA
# title: Candidates
# description: |
#   Names that could be the answer to a search, for the control plane to ask about one by one; being listed allows
#   nothing. Enrolled devices are not here: the registry lists them. A package `ztfm.extra.<type>` adds the subjects,
#   resources and actions that it knows: `subjects` by type, `resources` and `actions`, each a set of names.
# schemas:
#   - input: schema.input.candidates
package ztfm.candidates

import data.data.resources
import data.ztfm.lib.holds

# METADATA
# title: Listing
# description: The next names in order; empty at the end, and for types that nobody knows.
listing := array.slice(sort({name | some name in known; name > input.after}), 0, input.limit)

# METADATA
# title: Known
# description: All names of the kind that is looked for.
# scope: document
known contains name if {
	input.kind == "resource"
	some name, resource in resources
	resource.kind == input.resource_type
}

known contains name if {
	input.kind == "resource"
	some name in data.ztfm.extra[input.resource_type].resources
	is_string(name)
}

known contains name if {
	input.kind == "action"
	some name in actions[input.resource_type]
}

known contains name if {
	input.kind == "action"
	some name in data.ztfm.extra[input.resource_type].actions
	is_string(name)
}

known contains name if {
	input.kind == "subject"
	some name in data.ztfm.extra[input.resource_type].subjects[input.subject_type]
	is_string(name)
}

# METADATA
# title: Actions
# description: The product's own, by the type of resource that they are asked of.
actions := {"model": holds.actions}
