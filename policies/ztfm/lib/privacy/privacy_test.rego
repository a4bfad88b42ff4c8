package ztfm.lib.privacy_test

import data.ztfm.lib.privacy
import data.ztfm.lib.samples_test as samples

model := "smart-home-intents"

to_charge := {"privacy_budget_left", "privacy_cost_bounded", "privacy_known"}

local := samples.put(samples.granting, "/context/privacy", samples.costs("local"))

central := samples.put(samples.granting, "/context/privacy", {
	"known": true,
	"cause": "",
	"terms": samples.noise_terms("central"),
	"budget": {"epsilon": 2, "window_days": 7},
	"round_charged": true,
})

local_plan := samples.noise_of("local")

central_plan := samples.noise_of("central")

test_a_model_without_a_plan_has_nothing_to_show if {
	privacy.charged("sentence-encoder") == set()
	privacy.opened("sentence-encoder") == set()
	privacy.arrived("sentence-encoder") == set()
	privacy.obligations("sentence-encoder") == {}
}

test_who_adds_the_noise_has_what_to_show if {
	every mode, shown in {
		"local": {"charged": to_charge, "opened": set(), "arrived": {"update_noised"}},
		"central": {"charged": to_charge, "opened": to_charge, "arrived": set()},
		"unheard-of": {"charged": to_charge, "opened": to_charge, "arrived": {"update_noised"}},
	} {
		plan := samples.noise_of(mode)
		privacy.charged(model) == shown.charged with data.data.privacy as plan
		privacy.opened(model) == shown.opened with data.data.privacy as plan
		privacy.arrived(model) == shown.arrived with data.data.privacy as plan
	}
}

test_where_plans_cannot_be_read_everything_has_to_be_shown if {
	every kept in [{}, null, {"models": null}] {
		privacy.charged(model) == to_charge with data.data.privacy as kept
		privacy.opened(model) == to_charge with data.data.privacy as kept
		privacy.arrived(model) == {"update_noised"} with data.data.privacy as kept
		privacy.proven(model) == set() with data.data.privacy as kept with input as local
	}
	privacy.charged(null) == to_charge
}

test_what_fits_in_the_budget_is_proven if {
	privacy.proven(model) == to_charge with input as local with data.data.privacy as local_plan
	privacy.proven(model) == to_charge
		with input as samples.put(local, "/context/privacy/epsilon_after", 2)
		with data.data.privacy as local_plan
}

test_what_does_not_fit_is_not if {
	over := samples.put(local, "/context/privacy/epsilon_after", 2.0000001)
	privacy.proven(model) == {"privacy_cost_bounded", "privacy_known"}
		with input as over
		with data.data.privacy as local_plan
}

test_no_budget_has_room_for_what_is_no_guarantee if {
	plan := json.patch(local_plan, [{"op": "replace", "path": "/data_sets/homes/epsilon", "value": 1000000}])
	budgeted := samples.put(local, "/context/privacy/budget/epsilon", 1000000)
	every after, codes in {"999999": to_charge, "1000000": to_charge - {"privacy_budget_left"}} {
		privacy.proven(model) == codes
			with input as samples.put(budgeted, "/context/privacy/epsilon_after", to_number(after))
			with data.data.privacy as plan
	}
}

test_one_update_costs_no_more_than_the_model_allows if {
	resources := {model: {"limits": {"epsilon": 0.5}}}
	dear := privacy.proven(model)
		with data.data.resources as resources
		with input as local
		with data.data.privacy as local_plan
	dear == {"privacy_budget_left", "privacy_known"}
	cheap := samples.put(local, "/context/privacy/epsilon_alone", 0.5)
	enough := privacy.proven(model)
		with data.data.resources as resources
		with input as cheap
		with data.data.privacy as local_plan
	enough == to_charge
}

test_a_number_is_a_number if {
	every field in ["epsilon_spent", "epsilon_after", "charges"] {
		every value in samples.not_numbers | {-1} {
			not "privacy_budget_left" in privacy.proven(model)
				with input as samples.put(local, concat("/", ["/context/privacy", field]), value)
				with data.data.privacy as local_plan
		}
	}
	every value in samples.not_numbers | {-1} {
		not "privacy_cost_bounded" in privacy.proven(model)
			with input as samples.put(local, "/context/privacy/epsilon_alone", value)
			with data.data.privacy as local_plan
	}
}

test_a_cost_that_falls_by_spending_is_none if {
	odd := samples.put(local, "/context/privacy/epsilon_spent", 1.75)
	privacy.proven(model) == {"privacy_cost_bounded", "privacy_known"}
		with input as odd
		with data.data.privacy as local_plan
}

test_what_is_left_out_proves_nothing if {
	every field in object.keys(samples.costs("local")) {
		codes := privacy.proven(model)
			with input as samples.without(local, concat("/", ["/context/privacy", field]))
			with data.data.privacy as local_plan
		count(to_charge - codes) > 0
	}
	privacy.proven(model) == set()
		with input as samples.without(local, "/context/privacy")
		with data.data.privacy as local_plan
}

test_what_was_computed_for_another_plan_proves_nothing if {
	every path, value in {
		"/context/privacy/known": "true",
		"/context/privacy/cause": "accountant_missing",
		"/context/privacy/terms/noise_multiplier": 8.1,
		"/context/privacy/terms/mode": "central",
		"/context/privacy/terms/clip_norm": 1,
		"/context/privacy/terms/data_set": "others",
		"/context/privacy/terms/delta": 0.0001,
		"/context/privacy/terms/sampling": 0.5,
		"/context/privacy/terms": null,
		"/context/privacy/budget/epsilon": 3,
		"/context/privacy/budget/window_days": 8,
	} {
		privacy.proven(model) == set()
			with input as samples.put(local, path, value)
			with data.data.privacy as local_plan
	}
}

test_a_round_that_was_charged_has_its_submissions_granted if {
	privacy.proven(model) == to_charge with input as central with data.data.privacy as central_plan
	every value in [false, null, 1, "true"] {
		privacy.proven(model) == {"privacy_known"}
			with input as samples.put(central, "/context/privacy/round_charged", value)
			with data.data.privacy as central_plan
	}
	privacy.proven(model) == set()
		with input as samples.put(central, "/context/privacy/terms/mode", "local")
		with data.data.privacy as central_plan
	opening := samples.put(central, "/action/name", "round:create")
	privacy.proven(model) == {"privacy_known"} with input as opening with data.data.privacy as central_plan
}

test_a_devices_noise_is_an_obligation_and_no_limit_of_its_norm if {
	plan := samples.noise_of("local")
	privacy.obligations(model) == {"privacy": samples.noise_terms("local")} with data.data.privacy as plan
	privacy.unbounded(model) == {"max_norm"} with data.data.privacy as plan
}

test_an_aggregators_noise_bounds_what_devices_send if {
	plan := samples.noise_of("central")
	privacy.unbounded(model) == set() with data.data.privacy as plan
	privacy.obligations(model) == {"max_norm": 1.5} with data.data.privacy as plan
	every limit, bound in {"1": 1, "2": 1.5} {
		resources := {model: {"limits": {"max_norm": to_number(limit)}}}
		privacy.obligations(model) == {"max_norm": bound}
			with data.data.privacy as plan
			with data.data.resources as resources
	}
}

denied(code) := {"allow": false, "reasons": [{"code": code, "message": "m", "remedy": "r"}]}

returning(moment) := samples.put(local, "/context/privacy/returns_at", moment)

test_a_budget_that_is_used_up_says_when_it_has_room if {
	later := samples.now + 86400
	told := privacy.dated(denied("privacy_budget_left")) with input as returning(later)
	told.reasons == [{"code": "privacy_budget_left", "message": "m", "remedy": "r", "until": later}]
	other := privacy.dated(denied("role_granted")) with input as returning(later)
	other == denied("role_granted")
}

test_what_is_no_time_to_come_is_not_told if {
	every moment in samples.not_numbers | {samples.now, 0} {
		told := privacy.dated(denied("privacy_budget_left")) with input as returning(moment)
		told == denied("privacy_budget_left")
	}
	told := privacy.dated(denied("privacy_budget_left")) with input as local
	told == denied("privacy_budget_left")
}
