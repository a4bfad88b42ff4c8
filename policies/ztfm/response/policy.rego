# METADATA
# title: Response
# description: |
#   Decides where a subject stands from now on, after its behaviour was judged or when time alone has passed: trusted,
#   watched, quarantined, or recovering, which is on probation. What cannot be decided is a denial: the subject then
#   stands where it stood, no better than watched, and nothing of it is admitted.
# schemas:
#   - input: schema.input.response
package ztfm.response

import data.data.limits
import data.ztfm.lib.behaviour
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: The state that the subject is in from now on, and how many rounds are to be undone.
# entrypoint: true
decision := verdict.of(required, (required - proven) - subject.proven, granted)

# METADATA
# title: Proven
# description: The requirements of a response alone that hold.
# scope: document
proven contains "resource_kind" if input.resource.type == "behaviour"

proven contains "owner" if input.resource.id == input.subject.id

proven contains "status_known" if input.subject.properties.status in {"active", "quarantined", "revoked"}

proven contains "state_known" if {
	input.context.behaviour.state in {"trusted", "watched", "quarantined", "recovering"}
	is_number(input.context.behaviour.state_age_seconds)
	input.context.behaviour.state_age_seconds >= 0
}

proven contains "behaviour_weighed" if {
	behaviour.evidence
	behaviour.too_much
	behaviour.is_counted
}

proven contains "trust_known" if subject.trust

proven contains "contributions_counted" if {
	is_number(input.context.behaviour.contributed)
	input.context.behaviour.contributed >= 0
}

# METADATA
# title: Rollback
# description: |
#   Who is set apart now, and whose updates alone are reason enough for that, takes what it contributed to the latest
#   rounds with it: what a gateway says of requests undoes no work.
# scope: document
default rollback := {}

rollback := {"rollback_rounds": limits.behaviour.rollback_rounds} if {
	state == "quarantined"
	input.context.behaviour.state != "quarantined"
	input.context.behaviour.contributed > 0
	behaviour.evidence_of_updates >= behaviour.too_much
	limits.behaviour.rollback_rounds > 0
}

# METADATA
# title: Granted
# description: What a response comes with.
granted := {
	"obligations": object.union({"state": state}, rollback),
	"ttl_seconds": limits.admin_ttl_seconds,
}
