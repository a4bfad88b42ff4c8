package ztfm.admin

import data.data.limits
import data.data.resources

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
		lived,
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
# title: Lived
# description: How long what says who somebody is may live, as the limits say; nothing of anything else.
# scope: document
# schemas:
#   - input: schema.input.admin
default lived := {}

lived := {"lifetime_seconds": limits.svid_seconds[input.action.name]}
