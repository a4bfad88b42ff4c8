# METADATA
# title: Model access
# description: Decides who may pull a model, for training in a round or for serving.
# schemas:
#   - input: schema.input.model_access
package ztfm.model_access

import data.data.limits
import data.data.roles
import data.ztfm.lib.attestation
import data.ztfm.lib.holds
import data.ztfm.lib.integrity
import data.ztfm.lib.model
import data.ztfm.lib.rounds
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the model may be pulled.
# entrypoint: true
decision := verdict.of(required, missing, granted)

# METADATA
# title: Missing
# description: What was required and not proven.
missing := (((((unmet - subject.proven) - model.proven) - attestation.proven) - rounds.proven) - holds.proven) - vouched

# METADATA
# title: Vouched
# description: What is proven of signatures under the weights.
vouched := integrity.proven

# METADATA
# title: Unmet
# description: What this package alone did not prove.
unmet := required - proven

# METADATA
# title: Proven
# description: The requirements of a pull alone that hold.
# scope: document
proven contains "purpose_allowed" if model.asked.purposes[input.context.purpose] == true

proven contains "role_granted" if {
	some role in input.subject.properties.roles
	roles[role].grants.model_access[input.context.purpose]
}

proven contains "requests_within_budget" if {
	input.context.usage.window_seconds == limits.usage_window_seconds
	input.context.usage.requests >= 0
	some role in input.subject.properties.roles
	roles[role].grants.model_access[input.context.purpose].requests - input.context.usage.requests > 0
}

proven contains "digest_current" if input.resource.properties.digest == input.context.round.model_digest

proven contains "digest_released" if {
	model.asked.releases.pinned == false
	startswith(input.resource.properties.digest, "sha256:")
}

proven contains "digest_released" if model.asked.releases.digests[input.resource.properties.digest]

# METADATA
# title: Granted
# description: What an allowed pull comes with.
# scope: document
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {
	"obligations": object.union_n([
		model.limits_of({"max_bytes"}),
		model.divided,
		{"watch": subject.standing == "watched"},
	]),
	"ttl_seconds": model.terms.ttl_seconds[subject.standing],
}
