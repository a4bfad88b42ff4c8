# METADATA
# title: Administration
# description: Decides who may use the control plane's own API, and what their word is taken for.
# schemas:
#   - input: schema.input.admin
package ztfm.admin

import data.data.limits
import data.data.roles
import data.data.segments
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the control plane does what is asked.
# entrypoint: true
decision := verdict.of(required, (required - proven) - subject.proven, granted)

# METADATA
# title: Proven
# description: The requirements of an administrative request alone that hold.
# scope: document
proven contains "resource_kind" if actions[input.action.name].kind == input.resource.type

proven contains "role_granted" if {
	some role in input.subject.properties.roles
	roles[role].grants[input.action.name]
}

proven contains "segment_allowed" if segments[input.subject.properties.segment].actions[input.action.name] == true

proven contains "owner" if is_own

proven contains "subject_unrevoked" if input.subject.properties.status in {"active", "quarantined"}

# METADATA
# title: Own
# description: Whether it is the subject's own, whose id the round or the decision names.
is_own if input.resource.properties.owner == input.subject.id

# METADATA
# title: Granted
# description: What is allowed comes with the property paths that the caller's word is taken for.
# scope: document
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {
	"obligations": {"may_assert": actions[input.action.name].may_assert},
	"ttl_seconds": limits.admin_ttl_seconds,
}
