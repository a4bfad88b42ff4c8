# METADATA
# title: Enrolment
# description: |
#   Decides which newcomer may join the federation, by one kind of evidence: the single-use token that its owner was
#   given, a credential of an accepted issuer, or a certificate of an accepted manufacturer.
# schemas:
#   - input: schema.input.enrolment
package ztfm.enrolment

import data.data.enrolment as accepted
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
proven contains "proof_verified" if input.context.proof.verified == true

proven contains "resource_kind" if {
	input.subject.type == "device"
	input.resource.type == "federation"
}

proven contains "roles_granted" if {
	count(asked_roles) > 0
	count(asked_roles - offered_roles) == 0
}

proven contains "roles_fit_segment" if {
	count(asked_roles) > 0
	every role in asked_roles {
		segments[input.subject.properties.segment].roles[role] == true
	}
}

proven contains "segment_granted" if {
	input.subject.properties.segment in offered_segments
	segments[input.subject.properties.segment]
}

proven contains "network_allowed" if subject.is_in_network

proven contains "attestation_sufficient" if wanted_level == "none"

proven contains "attestation_sufficient" if {
	limits.attestation_ranks[input.context.attestation.level] - limits.attestation_ranks[wanted_level] >= 0
	input.context.attestation.age_seconds >= 0
	limits.attestation_age_seconds - input.context.attestation.age_seconds >= 0
}

# METADATA
# title: Wanted level
# description: How far the newcomer's platform must be proven in the segment that it asks for.
wanted_level := object.get(accepted.attestation, input.subject.properties.segment, accepted.attestation.any)

# METADATA
# title: Asked roles
# description: The roles that the newcomer asks for.
asked_roles := {role | some role in input.subject.properties.roles}

# METADATA
# title: Granted
# description: What an allowed enrolment comes with.
granted := {"obligations": {}, "ttl_seconds": limits.admin_ttl_seconds}
