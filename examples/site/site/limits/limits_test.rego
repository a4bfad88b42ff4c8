package site.limits_test

import data.site.limits

models := {"m": {"epsilon_month": 8, "epsilon_update": 2, "examples_maximum": 200, "norm_maximum": 10}}

asked(name, model, month) := {
	"action": {"name": name},
	"resource": {"id": model},
	"context": {"epsilon": {"month": month}},
}

test_a_model_that_comes_in_is_told_what_is_left if {
	every month, epsilon in {"0": 2, "6": 2, "7.5": 0.5, "8": 0, "9": 0} {
		answers := limits.answers with input as {"model_in": {"0": asked("model_in", "m", to_number(month))}}
			with data.site.data.house.models as models
		answers["0"] == {"epsilon": epsilon, "max_examples": 200, "max_norm": 10}
	}
}

test_an_update_is_held_to_what_one_may_spend if {
	answers := limits.answers with input as {"update_out": {"0": asked("update_out", "m", 8)}}
		with data.site.data.house.models as models
	answers["0"] == {"epsilon": 2, "max_examples": 200, "max_norm": 10}
}

test_what_is_not_listed_has_no_limits_and_an_answer if {
	answers := limits.answers with input as {"model_in": {"0": asked("model_in", "n", 0), "1": {}}}
		with data.site.data.house.models as models
	answers == {"0": {}, "1": {}}
}
