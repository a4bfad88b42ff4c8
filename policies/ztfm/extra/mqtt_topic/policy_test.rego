package ztfm.extra.mqtt_topic_test

import data.ztfm.extra.mqtt_topic
import data.ztfm.lib.samples_test as samples
import data.ztfm.other

me := samples.subject(["trainer"], "homes").id

asking(subject, action, topic) := {
	"subject": subject,
	"action": {"name": action},
	"resource": {"type": "mqtt_topic", "id": topic},
	"context": object.union(samples.around, {"network": {"address": "10.10.3.4"}}),
	"claims": {"subject": {}, "action": {}, "resource": {}, "context": {}},
}

sending := asking(samples.subject(["trainer"], "homes"), "publish", concat("/", ["ztfm/aggregator-1/from", me]))

topics := {
	"ztfm/aggregator-1/job",
	"ztfm/aggregator-1/from/+",
	"ztfm/aggregator-1/from/dev-other",
	"ztfm/aggregator-1/to/+",
	"ztfm/aggregator-1/to/dev-other",
	concat("/", ["ztfm/aggregator-1/from", me]),
	concat("/", ["ztfm/aggregator-1/to", me]),
}

wanted contains [action, topic] if {
	some action in {"publish", "subscribe"}
	some topic in topics
}

test_a_device_sends_on_its_own_topic_and_reads_its_own_and_the_jobs if {
	allowed := {[action, topic] |
		some [action, topic] in wanted
		mqtt_topic.decision.allow with input as asking(samples.subject(["trainer"], "homes"), action, topic)
	}
	allowed == {
		["publish", concat("/", ["ztfm/aggregator-1/from", me])],
		["subscribe", "ztfm/aggregator-1/job"],
		["subscribe", concat("/", ["ztfm/aggregator-1/to", me])],
	}
}

test_an_aggregator_has_the_other_ends if {
	allowed := {[action, topic] |
		some [action, topic] in wanted
		mqtt_topic.decision.allow with input as asking(samples.subject(["aggregator"], "core"), action, topic)
	}
	allowed == {
		["publish", "ztfm/aggregator-1/job"],
		["publish", "ztfm/aggregator-1/to/+"],
		["subscribe", "ztfm/aggregator-1/from/+"],
	}
}

test_nobody_else_has_any if {
	every role in ["consumer", "gateway", "operator", "administrator", "author", "unknown"] {
		every segment in ["homes", "core", "guests", "unknown"] {
			every want in wanted {
				decision := mqtt_topic.decision
					with input as asking(samples.subject([role], segment), want[0], want[1])
				not decision.allow
			}
		}
	}
}

test_a_role_in_a_segment_that_does_not_take_it_has_none if {
	every holder in [["trainer", "core"], ["trainer", "guests"], ["aggregator", "homes"]] {
		every want in wanted {
			decision := mqtt_topic.decision
				with input as asking(samples.subject([holder[0]], holder[1]), want[0], want[1])
			not decision.allow
		}
	}
}

# What breaks each requirement.
broken := {
	"action_known": [["/action/name", "delete"], ["/action/name", "Publish"]],
	"owner": [
		["/resource/id", "ztfm/aggregator-1/from/dev-other"],
		["/resource/id", "ztfm/aggregator-1/from/+"],
		["/subject/id", "dev-other"],
	],
	"resource_kind": [
		["/resource/type", "topic"],
		["/resource/id", "$CONTROL/dynamic-security/v1"],
		["/resource/id", "$SYS/#"],
		["/resource/id", "#"],
		["/resource/id", "ztfm/#"],
		["/resource/id", "ztfm/+/job"],
		["/resource/id", "ztfm//job"],
		["/resource/id", "ztfm/aggregator-1"],
		["/resource/id", "ztfm/aggregator-1/job/more"],
		["/resource/id", "ztfm/aggregator-1/from"],
		["/resource/id", "ztfm/aggregator-1/from/#"],
		["/resource/id", concat("/", ["ztfm/aggregator-1/elsewhere", me])],
		["/resource/id", concat("/", ["other/aggregator-1/from", me])],
		["/resource/id", concat("/", ["ztfm/aggregator-1/from", me, "more"])],
	],
	"role_granted": [["/subject/properties/roles", ["consumer"]], ["/subject/properties/roles", []]],
	"segment_allowed": [["/subject/properties/segment", "guests"], ["/subject/properties/segment", "unknown"]],
	"subject_active": [
		["/subject/properties/status", "quarantined"],
		["/subject/properties/status", "revoked"],
		["/subject/properties/status", "unknown"],
	],
	"subject_known": [["/subject/type", "user"], ["/subject/properties/key_thumbprint", 1]],
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := mqtt_topic.decision with input as samples.put(sending, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.ttl_seconds == 0
		}
	}
}

test_every_requirement_is_tested if {
	mqtt_topic.required == object.keys(broken)
}

test_what_is_absent_proves_nothing if {
	every path in [
		"/subject",
		"/action",
		"/resource",
		"/subject/id",
		"/subject/properties",
		"/subject/properties/status",
		"/subject/properties/roles",
		"/subject/properties/segment",
		"/action/name",
		"/resource/id",
		"/resource/type",
	] {
		decision := mqtt_topic.decision with input as samples.without(sending, path)
		not decision.allow
	}
}

test_an_empty_input_is_denied if {
	decision := mqtt_topic.decision with input as {}
	not decision.allow
	decision.rules == mqtt_topic.required
}

test_a_claim_grants_nothing if {
	claiming := samples.put(sending, "/claims/subject", {"roles": ["trainer"], "status": "active"})
	decision := mqtt_topic.decision with input as samples.put(claiming, "/subject/properties/status", "quarantined")
	not decision.allow
}

test_it_lasts_as_long_as_the_limit_says if {
	decision := mqtt_topic.decision with input as sending with data.data.limits.capability_age_seconds as 17
	decision.ttl_seconds == 17
}

test_questions_about_topics_come_here if {
	decision := other.decision with input as sending
	decision.allow
}

test_searches_know_the_actions if {
	mqtt_topic.actions == {"publish", "subscribe"}
}
