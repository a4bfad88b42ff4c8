package ztfm.budget

import data.data.budgets
import data.ztfm.lib.subject

# METADATA
# title: Asked
# description: What is needed now; undefined where that is no number.
# schemas:
#   - input: schema.input.budget
asked := {"requests": requests, "tokens": tokens} if {
	requests := input.context.asked.requests
	tokens := input.context.asked.tokens
	is_number(requests)
	is_number(tokens)
}

# METADATA
# title: Owner
# description: Whose budgets it is about.
# schemas:
#   - input: schema.input.budget
owner := {
	"model": input.resource.id,
	"segment": input.subject.properties.segment,
	"subject": input.subject.id,
}

# METADATA
# title: Stated
# description: The budgets as the data state them, by window.
# scope: document
stated[scope] := object.get(object.get(budgets[scope], "named", {}), name, budgets[scope].any) if {
	some scope, name in owner
	is_string(name)
}

# METADATA
# title: Weight
# description: The share of a budget that is there, of a subject's by its standing.
# scope: document
weight := {"model": 1, "segment": 1, "subject": budgets.standing[subject.standing]}

# METADATA
# title: Limits
# description: What may be used in each window; of a budget that is not stated whole, nothing is known.
# scope: document
limits[scope][span] := {"requests": requests, "tokens": tokens} if {
	some scope, windows in stated
	some span in {"hour", "day"}
	requests := floor(windows[span].requests * weight[scope])
	tokens := floor(windows[span].tokens * weight[scope])
}

# METADATA
# title: Room
# description: What is left of each budget, in the window that has least.
# scope: document
# schemas:
#   - input: schema.input.budget
room[scope][unit] := min(left) if {
	some scope, windows in limits
	some unit in {"requests", "tokens"}
	left := [rest |
		some span in {"hour", "day"}
		taken := input.context.taken[scope][span][unit]
		taken >= 0
		rest := windows[span][unit] - taken
	]
	count(left) == 2
}

# METADATA
# title: Least
# description: What is left of the budget that has least.
# scope: document
least[unit] := min(left) if {
	some unit in {"requests", "tokens"}
	left := {rest | some budget in room; rest := budget[unit]}
}

# METADATA
# title: Part
# description: How much of each unit is leased.
# scope: document
part[unit] := min({left, max({asked[unit], min({budgets.lease[unit], floor(left * budgets.lease.share)})})}) if {
	some unit, left in least
}
