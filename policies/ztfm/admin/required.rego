package ztfm.admin

# METADATA
# title: Required
# description: |
#   What an action must prove; an action that nobody knows is never proven. Whoever a decision is about may read it
#   even in quarantine, for its owner has to learn why.
# scope: document
# schemas:
#   - input: schema.input.admin
default required := {"action_known"}

required := {"resource_kind", "subject_known", "subject_unrevoked"} if {
	input.action.name == "decision:read"
	is_own
} else := actions[input.action.name].required

# METADATA
# title: Actions
# description: By action, the kind of thing it is asked of, what it requires and what the caller may assert.
actions := {
	"decision:read": {
		"kind": "decision",
		"may_assert": [],
		"required": service,
	},
	"evaluation:ask": {
		"kind": "evaluation",
		"may_assert": [
			"context.inference",
			"context.network",
			"context.purpose",
			"context.round_id",
			"context.verification",
			"resource.properties.digest",
		],
		"required": service,
	},
	"round:create": {
		"kind": "round",
		"may_assert": [],
		"required": service,
	},
	"updates:report": {
		"kind": "round",
		"may_assert": ["context.evidence", "context.verification"],
		"required": (service | {"owner"}),
	},
}

# METADATA
# title: Service
# description: What every service must prove.
service := {
	"network_allowed",
	"resource_kind",
	"role_granted",
	"segment_allowed",
	"subject_active",
	"subject_known",
}
