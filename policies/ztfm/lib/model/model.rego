# METADATA
# title: Model
# description: The model that is asked for, and the terms that follow from its sensitivity.
package ztfm.lib.model

import data.data.limits
import data.data.resources
import data.data.segments
import data.ztfm.lib.confidentiality

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
# title: Divided
# description: |
#   The parts of the model's weights that the subject's roles may have for its purpose; nothing of a model that is given
#   out whole. An entry whose parts cannot be read has none for anybody.
# scope: document
default divided := {}

divided := {"shards": [shard | some shard, uses in asked.shards; is_for(uses)]} if "shards" in object.keys(asked)

# METADATA
# title: Sealing
# description: |
#   What an aggregator's platform must prove, to whose key updates are sealed; nothing where they need not be. Where an
#   entry says that they travel otherwise, and how cannot be read, they are sealed to nobody.
# scope: document
default sealing := {}

sealing := {"seal": object.union(to_nobody, terms)} if {
	terms := confidentiality.sealed(input.resource.id, asked.transport.sealed_to)
} else := {"seal": to_nobody} if {
	"transport" in object.keys(asked)
	asked.transport != {}
}

# METADATA
# title: To nobody
# description: What no aggregator's platform proves.
to_nobody := {"level": "hardware", "age_seconds": 1, "references": []}

# METADATA
# title: For
# description: Whether a part of the weights is for the purpose that is stated, and one of the subject's roles.
is_for(uses) if {
	some role in input.subject.properties.roles
	uses[input.context.purpose][role] == true
}

# METADATA
# title: Limited
# description: Whether limits are stated, or none are; where they cannot be read, what is granted would have none.
# scope: document
is_limited if is_object(asked.limits)

is_limited if not "limits" in object.keys(asked)

# METADATA
# title: Proven
# description: The requirements on the model that hold.
# scope: document
proven contains "resource_known" if {
	asked.kind == input.resource.type
	terms.trust_minimum
	is_limited
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
	((hour * 60) + minute) - asked.window.opens_minute_utc >= 0
	asked.window.closes_minute_utc - ((hour * 60) + minute) > 0
}
