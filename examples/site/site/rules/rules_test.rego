package site.rules_test

import data.site.rules

# The house that these tests decide by: changing site/data/house changes no test.
house := {"opens_at_second": 72000, "closes_at_second": 18000, "models": {"m": {
	"audiences": {"a": true, "closed": false},
	"epsilon_month": 8,
	"epsilon_update": 2,
	"examples_maximum": 200,
	"norm_maximum": 10,
}}}

midnight := 1763078400

coming := {
	"action": {"name": "model_in"},
	"resource": {"id": "m"},
	"context": {"time": midnight, "audience": "a", "purpose": "training"},
}

going := {
	"action": {"name": "update_out"},
	"resource": {"id": "m"},
	"context": {
		"time": midnight,
		"audience": "a",
		"update": {"epsilon": 2, "examples": 120},
		"epsilon": {"month_after": 8},
	},
}

missing(answer) := answer.required - answer.proven

put(facts, path, value) := json.patch(facts, [{"op": "add", "path": path, "value": value}])

test_a_listed_model_comes_in_and_its_update_goes_out_at_night if {
	every facts in [coming, going] {
		missing(rules.answer) == set()
			with input as facts
			with data.site.data.house as house
	}
}

test_something_is_required_whatever_is_asked_of_the_house if {
	every facts in [{}, {"action": {}}, {"action": {"name": null}}, {"action": {"name": 1}}] {
		missing(rules.answer) == {
			"epsilon_within_budget",
			"examples_within_limit",
			"hours_open",
			"model_listed",
			"purpose_training",
		}
			with input as facts
			with data.site.data.house as house
	}
}

test_what_is_no_question_to_the_house_is_left_to_others if {
	missing(rules.answer) == set()
		with input as {"action": {"name": "inference"}}
		with data.site.data.house as house
}

test_another_model_or_aggregator_is_none_of_the_list if {
	every path, value in {"/resource/id": "n", "/context/audience": "b"} {
		"model_listed" in missing(rules.answer)
			with input as put(coming, path, value)
			with data.site.data.house as house
		"model_listed" in missing(rules.answer)
			with input as put(going, path, value)
			with data.site.data.house as house
	}
	missing(rules.answer) == {"model_listed"}
		with input as put(coming, "/context/audience", "closed")
		with data.site.data.house as house
	every value in [null, 1, true, ["m"], {"m": true}] {
		"model_listed" in missing(rules.answer)
			with input as put(coming, "/resource/id", value)
			with data.site.data.house as house
	}
}

test_the_house_is_open_at_night_alone if {
	every second in [72000, 86399, 86400, 86400 + 17999] {
		missing(rules.answer) == set()
			with input as put(coming, "/context/time", midnight + second)
			with data.site.data.house as house
	}
	every second in [18000, 43200, 71999] {
		missing(rules.answer) == {"hours_open"}
			with input as put(coming, "/context/time", midnight + second)
			with data.site.data.house as house
		missing(rules.answer) == {"hours_open"}
			with input as put(going, "/context/time", midnight + second)
			with data.site.data.house as house
	}
	every value in [null, "0", true, [0], {}] {
		missing(rules.answer) == {"hours_open"}
			with input as put(coming, "/context/time", value)
			with data.site.data.house as house
	}
}

test_hours_may_lie_within_a_day if {
	daily := object.union(house, {"opens_at_second": 3600, "closes_at_second": 7200})
	every second in [3600, 7199] {
		answer := rules.answer with input as put(coming, "/context/time", midnight + second)
			with data.site.data.house as daily
		"hours_open" in answer.proven
	}
	every second in [0, 3599, 7200, 80000] {
		answer := rules.answer with input as put(coming, "/context/time", midnight + second)
			with data.site.data.house as daily
		not "hours_open" in answer.proven
	}
}

test_no_model_comes_in_to_be_served if {
	every value in ["serving", null, true, 1] {
		missing(rules.answer) == {"purpose_training"}
			with input as put(coming, "/context/purpose", value)
			with data.site.data.house as house
	}
}

test_the_budget_is_the_month_and_this_update if {
	missing(rules.answer) == {"epsilon_within_budget"}
		with input as put(going, "/context/epsilon/month_after", 8.000000001)
		with data.site.data.house as house
	every value in [null, "8", true, [8], {}] {
		missing(rules.answer) == {"epsilon_within_budget"}
			with input as put(going, "/context/epsilon/month_after", value)
			with data.site.data.house as house
	}
	every value in [null, 0, -1, false] {
		missing(rules.answer) == {"epsilon_within_budget"}
			with input as put(going, "/context/update/epsilon", value)
			with data.site.data.house as house
	}
	undescribed := json.remove(going, ["/context/update", "/context/epsilon"])
	missing(rules.answer) == {"epsilon_within_budget", "examples_within_limit"}
		with input as undescribed
		with data.site.data.house as house
}

test_examples_are_counted_and_few if {
	every value in [null, 0, 201, "100", true] {
		missing(rules.answer) == {"examples_within_limit"}
			with input as put(going, "/context/update/examples", value)
			with data.site.data.house as house
	}
}
