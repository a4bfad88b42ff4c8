package ztfm.privacy_test

import data.ztfm.privacy

asked := {"modes": ["local", "central"]}

set_of := {"delta": 0.00001, "description": "Homes.", "epsilon": 2, "window_days": 7}

sets := {"homes": set_of, "streets": set_of}

local := {"clip_norm": 1.5, "data_set": "homes", "mode": "local", "noise_multiplier": 8}

central := object.union(local, {"data_set": "streets", "mode": "central", "sampling": 0.25})

shared := {"data_sets": sets, "models": {"a": local, "b": central}}

terms_of_a := {"clip_norm": 1.5, "data_set": "homes", "delta": 0.00001, "mode": "local", "noise_multiplier": 8}

budget := {"epsilon": 2, "window_days": 7}

test_every_model_that_is_shipped_with_noise_has_a_plan if {
	found := privacy.terms with input as asked
	object.keys(found.plans) == object.keys(data.data.privacy.models)
	count(found.plans) > 0
}

test_a_plan_is_what_the_model_and_its_data_set_say if {
	found := privacy.terms with input as asked with data.data.privacy as shared
	found.plans.a == {"terms": terms_of_a, "budget": budget}
	summed := {"data_set": "streets", "mode": "central", "sampling": 0.25}
	found.plans.b == {"terms": object.union(terms_of_a, summed), "budget": budget}
}

test_a_data_set_that_both_modes_draw_on_has_a_budget_that_nobody_knows if {
	both := json.patch(shared, [{"op": "replace", "path": "/models/b/data_set", "value": "homes"}])
	third := json.patch(both, [{"op": "add", "path": "/models/c", "value": central}])
	found := privacy.terms with input as asked with data.data.privacy as third
	object.keys(found.plans) == {"c"}
	privacy.mixed == {"homes"} with data.data.privacy as third
	every model in ["a", "b"] {
		privacy.planned(model) with data.data.privacy as third
	}
	privacy.mixed == set() with data.data.privacy as shared
}

test_only_what_can_be_carried_out_is_a_plan if {
	found := privacy.terms with input as {"modes": ["local"]} with data.data.privacy as shared
	object.keys(found.plans) == {"a"}
}

test_a_model_whose_data_set_is_not_whole_has_no_plan_and_needs_one if {
	every set in [
		{},
		{"homes": null},
		{"homes": {}},
		{"homes": object.remove(sets.homes, ["delta"])},
		{"other": sets.homes},
	] {
		broken := {"data_sets": set, "models": {"a": local}}
		found := privacy.terms with input as asked with data.data.privacy as broken
		found.plans == {}
		privacy.planned("a") with data.data.privacy as broken
	}
}

test_a_model_that_is_not_whole_has_no_plan_and_needs_one if {
	every field in ["clip_norm", "data_set", "mode", "noise_multiplier"] {
		broken := {"data_sets": sets, "models": {"a": object.remove(local, [field])}}
		found := privacy.terms with input as asked with data.data.privacy as broken
		found.plans == {}
		privacy.planned("a") with data.data.privacy as broken
	}
}

test_a_model_that_is_not_named_needs_no_noise if {
	not privacy.planned("c") with data.data.privacy as shared
	privacy.planned("c") == false with data.data.privacy as shared
}

test_a_model_needs_noise_whatever_stands_for_its_plan if {
	every value in [null, false, 0, "", [], {}] {
		privacy.planned("a") with data.data.privacy as {"data_sets": sets, "models": {"a": value}}
	}
}

test_where_nothing_can_be_read_every_model_needs_noise if {
	every kept in [{}, null, [], {"models": null}, {"models": ["a"]}, {"models": "a"}] {
		privacy.planned("a") with data.data.privacy as kept
	}
	every id in [null, 1, ["a"], {}] {
		privacy.planned(id) with data.data.privacy as shared
	}
}

test_nobody_asks_for_nothing if {
	every question in [{}, {"modes": []}, {"modes": null}] {
		not privacy.terms with input as question
	}
}
