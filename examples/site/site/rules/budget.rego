package site.rules

# METADATA
# title: Budget
# description: |
#   An update says what it spends of the privacy budget, and the month's sum for its model stays within the budget. Sums
#   come from the house's own ledger, with this update in them.
required contains "epsilon_within_budget" if is_going_out

# METADATA
# title: Within budget
# description: What spends nothing adds no noise without end, and is not what it says.
# schemas:
#   - input: schema.input.update_out
proven contains "epsilon_within_budget" if {
	input.context.update.epsilon > 0
	is_number(input.context.epsilon.month_after)
	input.context.epsilon.month_after <= data.site.data.house.models[input.resource.id].epsilon_month
}
