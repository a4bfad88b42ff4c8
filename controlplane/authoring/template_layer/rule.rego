package site.rules

# METADATA
# title: Thing
# description: Some models are pulled in a window of the day alone; what does not say what it asks is, too.
required contains "thing_open" if not thing_is_aside

# METADATA
# title: Thing aside
# description: Whether something else is asked for than a pull of one of these models.
# scope: document
thing_is_aside if {
	is_string(input.action.name)
	input.action.name != "model_access"
}

thing_is_aside if {
	is_string(input.resource.id)
	models := data.site.data.thing.models
	not models[input.resource.id]
}

# METADATA
# title: Thing open
# description: The time of the decision lies in the window of its day, in UTC.
# schemas:
#   - input: schema.input.model_access
proven contains "thing_open" if {
	window := data.site.data.thing
	second := input.context.time - (floor(input.context.time / 86400) * 86400)
	second >= window.opens_at_second
	second < window.closes_at_second
}
