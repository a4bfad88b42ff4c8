# METADATA
# title: Administration
# description: Decides who may use the control plane's own API, and what their word is taken for.
# schemas:
#   - input: schema.input.admin
package ztfm.admin

import data.data.roles
import data.data.segments
import data.ztfm.lib.people
import data.ztfm.lib.privacy
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the control plane does what is asked.
# entrypoint: true
decision := judged if judged.allow

else := privacy.dated(verdict.telling(judged, differences))

# METADATA
# title: Missing
# description: What was required and not proven.
missing := ((required - proven) - subject.proven) - people.proven

# METADATA
# title: Proven
# description: The requirements of an administrative request alone that hold.
# scope: document
proven contains "resource_kind" if actions[input.action.name].kind == input.resource.type

proven contains "role_granted" if {
	some role in held
	roles[role].grants[input.action.name]
}

proven contains "status_granted" if {
	some role in held
	roles[role].grants[input.action.name].statuses[input.resource.properties.status] == true
}

proven contains "layer_granted" if {
	some role in held
	roles[role].grants[input.action.name].layers[input.resource.properties.layer] == true
}

proven contains "segment_allowed" if segments[place].actions[input.action.name] == true

proven contains "owner" if is_own

proven contains "audience_granted" if {
	is_array(input.resource.properties.audiences)
	count(input.resource.properties.audiences) > 0
	every audience in input.resource.properties.audiences {
		some role in held
		roles[role].grants[input.action.name].audiences[audience] == true
	}
}

proven contains "key_known" if subject.is_enrolled

proven contains "subject_unrevoked" if input.subject.properties.status in {"active", "quarantined"}

# METADATA
# title: Held
# description: The roles that a device enrolled with, or that a person's claims bring.
# scope: document
held := people.roles if {
	input.subject.type == "person"
} else := {role | some role in input.subject.properties.roles}

# METADATA
# title: Place
# description: The segment that a device enrolled in, or from which a person administers.
# scope: document
place := people.segment if {
	input.subject.type == "person"
} else := input.subject.properties.segment

# METADATA
# title: Own
# description: Whether it is the subject's own, whose id the thing names as its owner.
is_own if input.resource.properties.owner == input.subject.id
