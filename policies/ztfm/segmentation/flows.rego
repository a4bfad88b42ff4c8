package ztfm.segmentation

import data.data.resources
import data.data.segmentation as kept
import data.data.segments
import data.ztfm.lib.subject
import data.ztfm.services

# METADATA
# title: In zone
# description: Whether the device's address is of a network of the segment that it enrolled in.
# schemas:
#   - input: schema.input.segmentation
is_in_zone if {
	some network, _ in segments[input.subject.properties.segment].networks
	net.cidr_contains(network, input.context.attachment.address)
}

# METADATA
# title: Places
# description: |
#   The network segments that the device is in, by where it enrolled, where it stands, what it is and how far it is
#   trusted. One that does not say all of that holds nobody.
# scope: document
# schemas:
#   - input: schema.input.segmentation
places contains name if {
	subject.trust >= 0
	at := input.context.attachment
	line := object.get(at, "line", "")
	some name, place in kept.segments
	holds(place.zones, input.subject.properties.segment)
	holds(place.sites, at.site)
	holds(place.lines, line)
	holds(place.device_classes, at.device_class)
	place.standings[subject.standing] == true
}

# METADATA
# title: Holds
# description: Whether a value is one that is named, or any may be; where a site has no lines, its line is empty.
# scope: document
holds(stated, value) if {
	is_string(value)
	stated[value] == true
}

holds("any", value) if is_string(value)

# METADATA
# title: Service
# description: The one service of the audience; undefined where there is none, or several.
# schemas:
#   - input: schema.input.segmentation
service := name if {
	input.resource.type == "service"
	names := services.by_audience[input.resource.id]
	count(names) == 1
	some name in names
}

# METADATA
# title: Flows
# description: The flows from the device's segments to the service for the action, of whatever model.
# scope: document
# schemas:
#   - input: schema.input.segmentation
flows contains name if {
	some name, flow in kept.flows
	some place in places
	flow.from[place] == true
	flow.to[service] == true
	flow.for[input.context.action] == true
}

# METADATA
# title: Open
# description: How long each of these flows may last that is open for models as sensitive as this one, in seconds.
# scope: document
# schemas:
#   - input: schema.input.segmentation
open contains seconds if {
	some name in flows
	flow := kept.flows[name]
	flow.sensitivities[resources[input.context.model].sensitivity] == true
	seconds := flow.seconds
	seconds >= 5
	seconds <= 300
}
