# METADATA
# title: Enrolment
# description: Decides which newcomer may join the federation, by the single-use token that its owner was given.
# schemas:
#   - input: schema.input.enrolment
package ztfm.enrolment

import data.data.limits
import data.data.segments
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the newcomer may join.
# entrypoint: true
decision := verdict.of(required, required - proven, granted)

# METADATA
# title: Proven
# description: The requirements that hold.
# scope: document
proven contains "token_valid" if input.context.token.valid == true

proven contains "token_unused" if input.context.token.uses == 0

proven contains "token_unexpired" if {
	input.context.time >= 0
	input.context.token.expires_at - input.context.time > 0
}

proven contains "proof_verified" if input.context.proof.verified == true

proven contains "resource_kind" if {
	input.subject.type == "device"
	input.resource.type == "federation"
}

proven contains "roles_granted" if {
	count(asked_roles) > 0
	count(asked_roles - {role | some role in input.context.token.roles}) == 0
}

proven contains "roles_fit_segment" if {
	count(asked_roles) > 0
	every role in asked_roles {
		segments[input.subject.properties.segment].roles[role] == true
	}
}

proven contains "segment_granted" if {
	input.subject.properties.segment == input.context.token.segment
	segments[input.subject.properties.segment]
}

proven contains "network_allowed" if subject.is_in_network

# METADATA
# title: Asked roles
# description: The roles that the newcomer asks for.
asked_roles := {role | some role in input.subject.properties.roles}

# METADATA
# title: Granted
# description: What an allowed enrolment comes with.
granted := {"obligations": {}, "ttl_seconds": limits.admin_ttl_seconds}
