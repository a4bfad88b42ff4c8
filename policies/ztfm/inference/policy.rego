# METADATA
# title: Inference
# description: Decides who may ask a model, how much, and how much of the answer they may see.
# schemas:
#   - input: schema.input.inference
package ztfm.inference

import data.data.limits
import data.data.roles
import data.ztfm.lib.attestation
import data.ztfm.lib.holds
import data.ztfm.lib.model
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the model may be asked.
# entrypoint: true
decision := verdict.of(required, missing, granted)

# METADATA
# title: Missing
# description: What was required and not proven.
missing := ((((required - proven) - subject.proven) - model.proven) - attestation.proven) - holds.proven

# METADATA
# title: Proven
# description: The requirements of an inference alone that hold.
# scope: document
proven contains "purpose_allowed" if model.asked.purposes.serving == true

proven contains "role_granted" if {
	some role in input.subject.properties.roles
	roles[role].grants.inference
}

proven contains "requests_within_budget" if {
	input.context.usage.window_seconds == limits.usage_window_seconds
	input.context.usage.requests >= 0
	some role in input.subject.properties.roles
	roles[role].grants.inference.requests - input.context.usage.requests > 0
}

proven contains "tokens_within_budget" if {
	input.context.usage.tokens >= 0
	input.context.usage.window_seconds == limits.usage_window_seconds
	asked := input.context.inference.prompt_tokens + input.context.inference.max_output_tokens
	some role in input.subject.properties.roles
	roles[role].grants.inference.tokens - (input.context.usage.tokens + asked) >= 0
}

proven contains "inference_sized" if {
	input.context.inference.prompt_tokens >= 0
	model.terms.prompt_tokens_maximum - input.context.inference.prompt_tokens >= 0
	input.context.inference.max_output_tokens >= 1
	is_number(input.context.inference.max_output_tokens)
}

# METADATA
# title: Granted
# description: |
#   What an allowed inference comes with: no more output than the model's sensitivity and the subject's standing
#   give, and the label alone for a subject that is watched.
# scope: document
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {
	"obligations": {
		"detail": limits.detail[subject.standing],
		"max_output_tokens": min({
			input.context.inference.max_output_tokens,
			model.terms.output_tokens_maximum[subject.standing],
			object.get(model.limits_of({"max_output_tokens"}), "max_output_tokens", input.context.inference.max_output_tokens),
		}),
		"watch": subject.standing == "watched",
	},
	"ttl_seconds": model.terms.ttl_seconds[subject.standing],
}
