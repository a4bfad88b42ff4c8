# METADATA
# title: Gradient submission
# description: |
#   Decides who may submit an update to a round (phase `grant`: a capability is asked for) and which update may enter
#   the aggregate (phase `admit`: it has arrived with its capability and its evidence).
# schemas:
#   - input: schema.input.gradient_submission
package ztfm.gradient_submission

import data.data.limits
import data.data.roles
import data.ztfm.lib.attestation
import data.ztfm.lib.behaviour
import data.ztfm.lib.capability
import data.ztfm.lib.evidence
import data.ztfm.lib.holds
import data.ztfm.lib.model
import data.ztfm.lib.rounds
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the submission may be made, or the update admitted.
# entrypoint: true
decision := verdict.of(required, missing, granted)

# METADATA
# title: Missing
# description: What was required and not proven.
missing := unproven if {
	input.context.phase == "grant"
} else := ((unproven - capability.proven) - evidence.proven) - behaviour.proven

# METADATA
# title: Unproven
# description: What neither the subject, its platform, the model, the round nor the holds proved.
unproven := ((((unmet - subject.proven) - model.proven) - attestation.proven) - rounds.proven) - holds.proven

# METADATA
# title: Unmet
# description: What this package alone did not prove.
unmet := required - proven

# METADATA
# title: Proven
# description: The requirements of a submission alone that hold.
# scope: document
proven contains "role_granted" if {
	some role in input.subject.properties.roles
	roles[role].grants.gradient_submission
}

proven contains "requests_within_budget" if {
	input.context.usage.window_seconds == limits.usage_window_seconds
	input.context.usage.requests >= 0
	some role in input.subject.properties.roles
	input.context.usage.requests < roles[role].grants.gradient_submission.requests
}

# METADATA
# title: Granted
# description: What an allowed submission comes with. An admitted update is clipped to a multiple of the median norm.
# scope: document
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {
	"obligations": object.union(
		model.limits_of({"epsilon", "max_bytes", "max_norm"}),
		{"watch": subject.standing == "watched"},
	),
	"ttl_seconds": model.terms.ttl_seconds[subject.standing],
} if {
	input.context.phase == "grant"
}

granted := {
	"obligations": {
		"clip_norm_ratio": limits.evidence.clip_norm_ratio,
		"watch": subject.standing == "watched",
	},
	"ttl_seconds": model.terms.ttl_seconds[subject.standing],
} if {
	input.context.phase == "admit"
}
