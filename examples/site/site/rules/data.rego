package site.rules

# METADATA
# title: Examples
# description: No more of the house's data are behind an update than its owner lets.
required contains "examples_within_limit" if is_going_out

# METADATA
# title: Within the limit
# description: Their number is told, and is one.
# schemas:
#   - input: schema.input.update_out
proven contains "examples_within_limit" if {
	input.context.update.examples >= 1
	input.context.update.examples <= data.site.data.house.models[input.resource.id].examples_maximum
}
