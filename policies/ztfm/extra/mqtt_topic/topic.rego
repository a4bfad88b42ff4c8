package ztfm.extra.mqtt_topic

import data.data.roles
import data.data.segments

# METADATA
# title: Uses
# description: What one must be allowed to do with a model to use a topic, by action and kind of topic.
uses := {
	"publish": {"from": "gradient_submission", "job": "round:create", "to": "round:create"},
	"subscribe": {"from": "round:create", "job": "gradient_submission", "to": "gradient_submission"},
}

# METADATA
# title: Needed
# description: What the subject must be allowed to do; undefined where the topic has no such use.
# schemas:
#   - input: schema.input.other
needed := uses[input.action.name][kind]

proven contains "resource_kind" if kind

proven contains "role_granted" if {
	some role in input.subject.properties.roles
	roles[role].grants[needed]
}

proven contains "segment_allowed" if segments[input.subject.properties.segment].actions[needed] == true

proven contains "owner" if {
	needed
	kind == "job"
}

proven contains "owner" if {
	needed == "gradient_submission"
	parts[3] == input.subject.id
}

proven contains "owner" if {
	needed == "round:create"
	parts[3] == "+"
}

# METADATA
# title: Kind
# description: Which kind of topic it is; undefined for any that is none of a job's.
# schemas:
#   - input: schema.input.other
kind := "job" if {
	count(parts) == 3
	parts[2] == "job"
} else := parts[2] if {
	count(parts) == 4
	parts[2] in {"from", "to"}
	regex.match(`^(\+|[A-Za-z0-9][A-Za-z0-9._:-]{0,127})$`, parts[3])
}

# METADATA
# title: Parts
# description: The levels of a topic that begins as a job's do, with the name of an enforcement point.
# schemas:
#   - input: schema.input.other
parts := found if {
	input.resource.type == "mqtt_topic"
	found := split(input.resource.id, "/")
	found[0] == "ztfm"
	regex.match(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`, found[1])
}
