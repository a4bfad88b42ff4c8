# METADATA
# title: MQTT topic
# description: |
#   Decides who may publish to a topic of a broker, and who may subscribe to it. A job has three kinds of topics:
#   `ztfm/<audience>/job` says how it stands, `ztfm/<audience>/from/<device>` is what one device asks and sends,
#   `ztfm/<audience>/to/<device>` is what it alone is answered. Whoever trains has its own two and reads the first;
#   whoever opens rounds has the other ends, with `+` for all devices. There is no other topic, and no other wildcard.
# schemas:
#   - input: schema.input.other
package ztfm.extra.mqtt_topic

import data.data.limits
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the subject may publish to the topic, or subscribe to it.
decision := verdict.of(required, (required - proven) - subject.proven, granted)

# METADATA
# title: Granted
# description: For how long the broker may rely on it, as long as a capability is fresh.
granted := {"obligations": {}, "ttl_seconds": limits.capability_age_seconds}

# METADATA
# title: Required
# description: What every request must prove.
required := {
	"action_known",
	"owner",
	"resource_kind",
	"role_granted",
	"segment_allowed",
	"subject_active",
	"subject_known",
}

# METADATA
# title: Proven
# description: The requirements that hold; those on the topic itself are beside this file.
# scope: document
proven contains "action_known" if uses[input.action.name]

# METADATA
# title: Actions
# description: The actions that a search asks about.
actions := object.keys(uses)
