package ztfm.extra.thing_test

import data.ztfm.extra.thing
import data.ztfm.lib.samples_test as samples
import data.ztfm.other

# The data that these tests decide by: changing policies/data/thing changes no test.
known := {
	"grants": {"alice": {"first": {"read": true, "write": true}}},
	"requests_maximum": 60,
	"resources": {"first": {}, "second": {}},
	"ttl_seconds": 30,
}

asking := {
	"subject": {"type": "user", "id": "alice"},
	"action": {"name": "read"},
	"resource": {"type": "thing", "id": "first"},
	"context": samples.around,
	"claims": {"subject": {}, "action": {}, "resource": {}, "context": {}},
}

# What breaks each requirement.
broken := {
	"requests_within_budget": [
		["/context/usage/requests", 60],
		["/context/usage/requests", -1],
		["/context/usage/window_seconds", 1],
	],
	"thing_granted": [
		["/action/name", "delete"],
		["/resource/id", "second"],
		["/subject/id", "mallory"],
	],
	"thing_known": [
		["/resource/id", "third"],
		["/resource/type", "another"],
	],
	"thing_subject_known": [
		["/subject/id", "mallory"],
		["/subject/type", "device"],
	],
}

test_what_is_granted_is_allowed if {
	decision := thing.decision with input as asking
		with data.data.thing as known
	decision.allow
	decision.reasons == []
	decision.ttl_seconds == 30
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := thing.decision with input as samples.put(asking, change[0], change[1])
				with data.data.thing as known
			not decision.allow
			code in samples.codes(decision)
			decision.ttl_seconds == 0
		}
	}
}

test_every_requirement_is_tested if {
	thing.required == object.keys(broken)
}

test_an_absent_part_satisfies_no_requirement if {
	every path in ["/subject", "/action", "/resource", "/context", "/subject/id", "/action/name", "/resource/id"] {
		decision := thing.decision with input as samples.without(asking, path)
			with data.data.thing as known
		not decision.allow
	}
}

test_a_number_is_a_number if {
	every path in ["/context/usage/requests", "/context/usage/window_seconds"] {
		every value in samples.not_numbers {
			decision := thing.decision with input as samples.put(asking, path, value)
				with data.data.thing as known
			not decision.allow
		}
	}
}

test_an_empty_input_is_denied if {
	decision := thing.decision with input as {}
		with data.data.thing as known
	not decision.allow
	decision.rules == thing.required
}

test_a_claim_alone_grants_no_access if {
	claiming := samples.put(asking, "/claims/subject/role", "administrator")
	decision := thing.decision with input as samples.put(claiming, "/subject/id", "mallory")
		with data.data.thing as known
	not decision.allow
}

test_questions_about_this_type_come_here if {
	decision := other.decision with input as asking with data.data.thing as known
	decision.allow
}

test_searches_look_at_all_that_is_known if {
	subjects := thing.subjects with data.data.thing as known
	subjects == {"user": {"alice"}}
	resources := thing.resources with data.data.thing as known
	resources == {"first", "second"}
	actions := thing.actions with data.data.thing as known
	actions == {"read", "write"}
}
