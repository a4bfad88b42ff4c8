# METADATA
# title: Budget
# description: |
#   Decides how much of the budgets of a subject, a model and a segment a gateway may hold, to spend it by itself. How
#   much there is, `data/budgets` says; a budget that it does not state is used up.
# schemas:
#   - input: schema.input.budget
package ztfm.budget

import data.data.budgets
import data.ztfm.lib.holds
import data.ztfm.lib.model
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether a part of the budgets is leased.
# entrypoint: true
decision := verdict.of(required, ((required - proven) - subject.proven) - asked_as_inference, granted)

# METADATA
# title: Required
# description: What a lease must prove.
required := {
	"action_not_held",
	"holds_known",
	"lease_sized",
	"leases_few",
	"model_within_budget",
	"resource_known",
	"segment_allowed",
	"segment_within_budget",
	"subject_active",
	"subject_known",
	"subject_within_budget",
	"trust_sufficient",
}

# METADATA
# title: Within
# description: The requirement that the budget of each kind has room.
within := {
	"model": "model_within_budget",
	"segment": "segment_within_budget",
	"subject": "subject_within_budget",
}

# METADATA
# title: Asked as inference
# description: What would hold of the inference that the lease is for, of its model and of what is held.
asked_as_inference := codes if {
	codes := model.proven | holds.proven with input.action.name as "inference"
}

# METADATA
# title: Proven
# description: The requirements of a lease alone that hold.
# scope: document
proven contains "lease_sized" if {
	asked.requests >= 1
	asked.tokens >= 0
	is_number(budgets.lease.requests)
	is_number(budgets.lease.tokens)
	budgets.lease.share > 0
	budgets.lease.share <= 1
	is_number(budgets.lease.seconds)
}

proven contains "leases_few" if {
	input.context.leases >= 0
	is_number(budgets.lease.leases)
	input.context.leases < budgets.lease.leases
}

proven contains code if {
	some scope, code in within
	room[scope].requests >= asked.requests
	room[scope].tokens >= asked.tokens
}

# METADATA
# title: Granted
# description: |
#   As much as gateways get at once, at most a share of what is left of the fullest budget, and never less than what a
#   request that waits needs; with the budgets that it is taken from.
# scope: document
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {
	"obligations": {"lease": {
		"requests": part.requests,
		"tokens": part.tokens,
		"limits": limits,
	}},
	"ttl_seconds": budgets.lease.seconds,
}
