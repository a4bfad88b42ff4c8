# METADATA
# title: Attestation
# description: |
#   Appraises evidence of a platform (RFC 9334): what it proves where it agrees with one of the reference values of
#   `data/attestation`, and what counts no more where it contradicts them. Evidence that does not verify, or answers
#   nothing, proves nothing and takes nothing away.
# schemas:
#   - input: schema.input.attestation
package ztfm.attestation

import data.data.attestation as known
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: What is made of the evidence.
# entrypoint: true
decision := object.union(
	verdict.telling(judged, differences),
	{"obligations": object.union(judged.obligations, withdrawn)},
)

# METADATA
# title: Judged
# description: The decision without the claims that are not what they should be.
judged := verdict.of(required, (required - proven) - subject.proven, granted)

# METADATA
# title: Required
# description: What evidence must show; what it says is asked for where anybody vouches for it.
# scope: document
# schemas:
#   - input: schema.input.attestation
default required := {
	"challenge_fresh",
	"evidence_bound",
	"evidence_verified",
	"resource_kind",
	"subject_active",
	"subject_known",
}

required := {
	"challenge_fresh",
	"evidence_bound",
	"evidence_verified",
	"resource_kind",
	"subject_active",
	"subject_known",
} | said if {
	input.context.evidence.verified == true
}

# METADATA
# title: Proven
# description: The requirements that hold.
# scope: document
proven contains "resource_kind" if {
	input.resource.type == "platform"
	is_string(input.resource.id)
}

proven contains "challenge_fresh" if {
	input.context.challenge.valid == true
	is_number(input.context.challenge.age_seconds)
	input.context.challenge.age_seconds >= 0
	is_number(known.challenge_seconds)
	input.context.challenge.age_seconds <= known.challenge_seconds
}

proven contains "evidence_verified" if {
	input.context.evidence.verified == true
	input.context.evidence.cause == ""
}

proven contains "evidence_bound" if {
	input.context.evidence.answers == true
	is_string(input.context.evidence.claims.bound)
	input.context.evidence.claims.bound == input.context.evidence.binding
}

proven contains code if some code in agreed

# METADATA
# title: Withdrawn
# description: |
#   Evidence that verifies and answers, and contradicts every reference value, takes away what was proven. That it is of
#   another platform, or of one that others have as well, says nothing of what had proven it.
# scope: document
# schemas:
#   - input: schema.input.attestation
default withdrawn := {}

withdrawn := {"withdraw_attestation": true} if {
	count({"challenge_fresh", "evidence_bound", "evidence_verified", "resource_kind"} - proven) == 0
	count((said - on_which) - proven) > 0
}
