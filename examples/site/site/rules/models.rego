package site.rules

# METADATA
# title: Models listed
# description: Only models of the list come in or are trained on this house's data, each with its own aggregators.
required contains "model_listed" if not is_aside

proven contains "model_listed" if {
	is_string(input.resource.id)
	data.site.data.house.models[input.resource.id].audiences[input.context.audience] == true
}
