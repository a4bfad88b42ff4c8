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
import data.ztfm.lib.confidentiality
import data.ztfm.lib.evidence
import data.ztfm.lib.holds
import data.ztfm.lib.model
import data.ztfm.lib.privacy
import data.ztfm.lib.rounds
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the submission may be made, or the update admitted.
# entrypoint: true
decision := judged if judged.allow

else := privacy.dated(verdict.telling(judged, differences))

# METADATA
# title: Judged
# description: The decision without what a denial tells beside its reasons; an allowed one need not pay for it.
judged := verdict.of(required, missing, granted)

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
# description: What neither this package, the plan of the model's noise nor what its aggregator sees proved.
unmet := ((required - proven) - noise.proven) - confidentiality.proven

# METADATA
# title: Trained
# description: The model that the update is for; null where none is named.
# scope: document
default trained := null

trained := input.resource.id

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
	roles[role].grants.gradient_submission.requests - input.context.usage.requests > 0
}
