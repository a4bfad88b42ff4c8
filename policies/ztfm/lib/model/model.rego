# METADATA
# title: Model
# description: The model that is asked for, and the terms that follow from its sensitivity.
package ztfm.lib.model

import data.data.limits
import data.data.resources
import data.data.segments

# METADATA
# title: Asked
# description: The entry of the model that is asked for; undefined when nobody registered it.
asked := resources[input.resource.id]

# METADATA
# title: Terms
# description: What the model's sensitivity demands.
terms := limits.sensitivities[asked.sensitivity]

# METADATA
# title: Limits of
# description: Of `names`, the limits that the model's entry states; empty for a model that states none of them.
limits_of(names) := {name: value | some name in names; value := asked.limits[name]}

# METADATA
# title: Proven
# description: The requirements on the model that hold.
# scope: document
proven contains "resource_known" if {
	asked.kind == input.resource.type
	terms.trust_minimum
}

proven contains "segment_allowed" if {
	segment := input.subject.properties.segment
	asked.segments[segment] == true
	segments[segment].actions[input.action.name] == true
}

proven contains "window_open" if asked.window.always == true

proven contains "window_open" if {
	asked.window.always == false
	moment := floor(input.context.time) * 1000000000
	asked.window.days[time.weekday(moment)] == true
	[hour, minute, _] := time.clock(moment)
	(hour * 60) + minute >= asked.window.opens_minute_utc
	(hour * 60) + minute < asked.window.closes_minute_utc
}
