package ztfm.budget_test

import data.ztfm.budget
import data.ztfm.lib.samples_test as samples

asked := samples.leasing

# What breaks each requirement.
broken := {
	"action_not_held": [
		["/context/holds/current", {"hold-1": samples.hold("homes", "inference")}],
		["/context/holds/current", {"hold-1": samples.hold("*", "inference")}],
		["/context/holds/current", {"hold-1": {}}],
	],
	"holds_known": [
		["/context/holds/known", false],
		["/context/holds", null],
	],
	"lease_sized": [
		["/context/asked/requests", 0],
		["/context/asked/tokens", -1],
		["/context/asked", {}],
	],
	"leases_few": [
		["/context/leases", 64],
		["/context/leases", -1],
	],
	"model_within_budget": [
		["/context/taken/model/hour/requests", 2000000],
		["/context/taken/model/day/tokens", 1999999401],
		["/context/taken/model/hour/tokens", -1],
		["/context/taken/model", {}],
	],
	"resource_known": [
		["/resource/id", "unheard-of"],
		["/resource/type", "service"],
	],
	"segment_allowed": [["/subject/properties/segment", "nowhere"]],
	"segment_within_budget": [
		["/context/taken/segment/hour/tokens", 99999401],
		["/context/taken/segment/day/requests", 10000000],
		["/subject/properties/segment", null],
	],
	"subject_active": [["/subject/properties/status", "quarantined"]],
	"subject_known": [["/subject/type", "guest"]],
	"subject_within_budget": [
		["/context/taken/subject/hour/requests", 20000],
		["/context/taken/subject/hour/tokens", 1999401],
		["/context/taken/subject/day/tokens", 19999401],
		["/context/asked/tokens", 1991001],
		["/context/taken/subject/day", {}],
	],
	"trust_sufficient": [["/subject/properties/trust/score", 0.249]],
}

test_a_gateway_gets_a_part_of_what_is_there if {
	decision := budget.decision with input as asked
	decision.allow
	decision.ttl_seconds == 60
	decision.obligations.lease.requests == 32
	decision.obligations.lease.tokens == 32768
	decision.obligations.lease.limits.subject == {
		"day": {"requests": 200000, "tokens": 20000000},
		"hour": {"requests": 20000, "tokens": 2000000},
	}
	object.keys(decision.obligations.lease.limits) == {"model", "segment", "subject"}
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := budget.decision with input as samples.put(asked, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.obligations == {}
		}
	}
}

test_every_requirement_is_tested if {
	budget.required == object.keys(broken)
}

test_nothing_is_leased_of_what_nobody_counted if {
	every path in [
		"/context/taken",
		"/context/taken/subject",
		"/context/taken/model/hour",
		"/context/taken/segment/day/tokens",
		"/context/taken/subject/hour/requests",
		"/context/leases",
		"/context/holds",
		"/context/asked/tokens",
		"/subject/properties/segment",
		"/subject/properties/trust",
		"/resource/id",
	] {
		decision := budget.decision with input as samples.without(asked, path)
		not decision.allow
	}
}

test_a_number_is_a_number if {
	every path in [
		"/context/asked/requests",
		"/context/asked/tokens",
		"/context/leases",
		"/context/taken/model/hour/requests",
		"/context/taken/segment/hour/tokens",
		"/context/taken/subject/day/tokens",
	] {
		every value in samples.not_numbers {
			decision := budget.decision with input as samples.put(asked, path, value)
			not decision.allow
		}
	}
}

test_the_last_of_a_budget_can_be_leased_and_not_one_more if {
	decision := budget.decision with input as samples.put(asked, "/context/taken/subject/hour/tokens", 1999400)
	decision.obligations.lease.tokens == 600
	over := budget.decision with input as samples.put(asked, "/context/taken/subject/hour/tokens", 1999401)
	samples.codes(over) == {"subject_within_budget"}
}

test_what_waits_is_leased_whole_and_nearly_empty_budgets_give_small_parts if {
	long := budget.decision with input as samples.put(asked, "/context/asked/tokens", 100000)
	long.obligations.lease.tokens == 100000
	low := budget.decision with input as samples.put(asked, "/context/taken/model/day/tokens", 1999980000)
	low.obligations.lease.tokens == 2500
}

test_a_watched_subject_has_a_share_of_its_budget_alone if {
	decision := budget.decision with input as samples.put(asked, "/subject/properties/trust/score", 0.6)
	decision.obligations.lease.limits.subject.hour == {"requests": 5000, "tokens": 500000}
	decision.obligations.lease.limits.model.hour == {"requests": 2000000, "tokens": 200000000}
}

test_whoever_is_named_has_a_budget_of_its_own if {
	falls := samples.put(asked, "/resource/id", "fall-detection")
	decision := budget.decision with input as falls
	decision.obligations.lease.limits.model.hour == {"requests": 500000, "tokens": 50000000}
	guest := budget.decision with input as samples.put(asked, "/subject/properties/segment", "guests")
	guest.obligations.lease.limits.segment.day == {"requests": 100000, "tokens": 10000000}
}

test_a_budget_that_is_not_stated_is_used_up if {
	every scope in ["subject", "model", "segment"] {
		every path in [[scope], [scope, "any", "day"], [scope, "any", "hour", "tokens"]] {
			lacking := json.remove(data.data.budgets, [concat("/", path)])
			decision := budget.decision with input as asked with data.data.budgets as lacking
			sprintf("%s_within_budget", [scope]) in samples.codes(decision)
		}
		every value in [null, "99999999", true, [], {}] {
			changed := json.patch(data.data.budgets, [{
				"op": "replace",
				"path": concat("/", [scope, "any", "hour", "tokens"]),
				"value": value,
			}])
			decision := budget.decision with input as asked with data.data.budgets as changed
			not decision.allow
		}
	}
}

test_terms_of_leases_that_are_no_numbers_lease_nothing if {
	every name in ["requests", "tokens", "share", "seconds", "leases"] {
		path := concat("/", ["lease", name])
		without := budget.decision with input as asked with data.data.budgets as json.remove(data.data.budgets, [path])
		not without.allow
		every value in [null, "1", true, [], {}] {
			changed := json.patch(data.data.budgets, [{"op": "replace", "path": path, "value": value}])
			decision := budget.decision with input as asked with data.data.budgets as changed
			not decision.allow
		}
	}
}

test_a_hold_of_something_else_stops_no_inference if {
	pulls := samples.put(asked, "/context/holds/current", {"hold-1": samples.hold("homes", "model_access")})
	decision := budget.decision with input as pulls
	decision.allow
}

test_an_empty_input_is_denied if {
	decision := budget.decision with input as {}
	samples.codes(decision) == budget.required
}
