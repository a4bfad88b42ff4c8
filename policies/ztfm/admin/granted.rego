package ztfm.admin

import data.data.attestation
import data.data.limits
import data.data.resources
import data.ztfm.lib.confidentiality
import data.ztfm.lib.verdict

# METADATA
# title: Granted
# description: What is allowed comes with the property paths that the caller's word is taken for.
# scope: document
# schemas:
#   - input: schema.input.admin
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {
	"obligations": object.union_n([
		{"may_assert": actions[input.action.name].may_assert},
		brought_together,
		hidden,
		lived,
		noise,
	]),
	"ttl_seconds": limits.admin_ttl_seconds,
}

# METADATA
# title: Brought together
# description: |
#   How the updates of a round that is opened become one, as the data of its model say; by their mean where they say
#   nothing.
# scope: document
# schemas:
#   - input: schema.input.admin
default brought_together := {}

brought_together := {"aggregation": object.get(resources[model], "aggregation", "mean")} if {
	input.action.name == "round:create"
	model := input.resource.properties.model
	is_object(resources[model])
}

# METADATA
# title: Hidden
# description: What an aggregator sees of the updates of a round that it opens, as the data of its model say.
# scope: document
# schemas:
#   - input: schema.input.admin
default hidden := {}

hidden := confidentiality.opened(input.resource.properties.model) if input.action.name == "round:create"

# METADATA
# title: Lived
# description: |
#   How long what says who somebody is may live, or a challenge may be answered, or somebody stays signed in, as the
#   data say; nothing of anything else.
# scope: document
# schemas:
#   - input: schema.input.admin
default lived := {}

lived := {"lifetime_seconds": limits.svid_seconds[input.action.name]}

lived := {"lifetime_seconds": attestation.challenge_seconds} if input.action.name == "attestation:challenge"

lived := {
	"idle_seconds": limits.console.idle_seconds,
	"lifetime_seconds": limits.console.session_seconds,
} if {
	input.action.name == "console:sign_in"
}

# METADATA
# title: Judged
# description: The decision without what a denial tells beside its reasons.
judged := verdict.of(required, missing, granted)
