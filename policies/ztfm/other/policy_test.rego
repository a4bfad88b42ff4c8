package ztfm.other_test

import data.ztfm.lib.samples_test as samples
import data.ztfm.other

opening := {
	"allow": true,
	"obligations": {},
	"reasons": [],
	"rules": {"door_known"},
	"ttl_seconds": 30,
}

test_the_package_of_the_resources_type_decides if {
	decision := other.decision with input as samples.opening_door
		with data.ztfm.extra as {"door": {"decision": opening}}
	decision == opening
}

test_a_package_of_another_type_does_not_decide if {
	every type in {"window", "Door", "door.decision", "door/decision", "", "decision"} {
		decision := other.decision with input as samples.put(samples.opening_door, "/resource/type", type)
			with data.ztfm.extra as {"door": {"decision": opening}}
		not decision.allow
	}
}

test_the_type_is_that_of_the_resource_and_not_of_the_subject if {
	decision := other.decision with input as samples.opening_door
		with data.ztfm.extra as {"user": {"decision": opening}}
	not decision.allow
}

test_without_a_package_it_is_denied_and_says_why if {
	every extra in [{}, {"door": {}}, {"door": {"allow": true}}, {"door": "open"}, {"door": null}] {
		decision := other.decision with input as samples.opening_door with data.ztfm.extra as extra
		not decision.allow
		decision.obligations == {}
		decision.ttl_seconds == 0
		decision.rules == {"action_known"}
		samples.codes(decision) == {"action_known"}
	}
}

test_a_type_that_is_no_name_is_denied if {
	every type in samples.not_numbers | {1, -1, 0.5} {
		decision := other.decision with input as samples.put(samples.opening_door, "/resource/type", type)
			with data.ztfm.extra as {"door": {"decision": opening}}
		samples.codes(decision) == {"action_known"}
	}
}

test_what_is_no_request_is_denied if {
	every facts in [{}, null, [], "door", {"resource": null}, {"resource": {"type": ["door"]}}] {
		decision := other.decision with input as facts with data.ztfm.extra as {"door": {"decision": opening}}
		samples.codes(decision) == {"action_known"}
	}
}

test_nobody_is_exempt_from_it if {
	waiver := {samples.opening_door.subject.id: {"bench": {
		"resource": samples.opening_door.resource.id,
		"action": "open",
		"waives": {"action_known": true},
		"approver": "operator@example.org",
		"reason": "Bench test.",
		"from": "2025-11-01T00:00:00Z",
		"until": "2025-12-01T00:00:00Z",
	}}}
	decision := other.decision with input as samples.opening_door with data.data.exceptions as waiver
		with data.ztfm.extra as {}
	samples.codes(decision) == {"action_known"}
}
