package ztfm.lib.model_test

import data.ztfm.lib.model
import data.ztfm.lib.samples_test as samples

night := {
	"always": false,
	"days": {"Thursday": true},
	"opens_minute_utc": 60,
	"closes_minute_utc": 300,
}

resources(window) := {"night-model": {
	"kind": "model",
	"sensitivity": "internal",
	"segments": {"homes": true},
	"window": window,
}}

at(moment) := json.patch(samples.serving, [
	{"op": "replace", "path": "/resource/id", "value": "night-model"},
	{"op": "replace", "path": "/context/time", "value": moment},
])

midnight := 1762992000

test_a_window_is_open_from_its_first_to_its_last_minute if {
	every moment in [midnight + 3600, (midnight + 18000) - 0.001, samples.now] {
		"window_open" in model.proven with input as at(moment) with data.data.resources as resources(night)
	}
	every moment in [(midnight + 3600) - 0.001, midnight + 18000, midnight] {
		not "window_open" in model.proven with input as at(moment) with data.data.resources as resources(night)
	}
}

test_a_window_opens_on_its_days_alone if {
	every days in [1, 2, 3, 4, 5, 6] {
		moment := (midnight + 7200) + (days * 86400)
		not "window_open" in model.proven with input as at(moment) with data.data.resources as resources(night)
	}
	"window_open" in model.proven with input as at(midnight + 612000) with data.data.resources as resources(night)
}

test_a_window_that_is_not_whole_never_opens if {
	every window in [
		{},
		{"always": "true"},
		{"always": false},
		object.remove(night, ["always"]),
		object.remove(night, ["days"]),
		null,
	] {
		not "window_open" in model.proven with input as at(samples.now) with data.data.resources as resources(window)
	}
}

test_a_time_that_is_no_number_opens_no_window if {
	every value in samples.not_numbers {
		not "window_open" in model.proven with input as at(value) with data.data.resources as resources(night)
	}
}

test_a_model_of_an_unknown_sensitivity_is_not_known if {
	odd := {"odd": {"kind": "model", "sensitivity": "secret", "segments": {"homes": true}, "window": {"always": true}}}
	asked := samples.put(samples.serving, "/resource/id", "odd")
	model.proven == {"segment_allowed", "window_open"} with input as asked with data.data.resources as odd
}

test_a_model_states_limits_or_none if {
	limited := {"a": {"limits": {"max_bytes": 5, "epsilon": 1}}, "b": {}}
	every id, limits in {"a": {"max_bytes": 5}, "b": {}, "c": {}} {
		asked := samples.put(samples.serving, "/resource/id", id)
		model.limits_of({"max_bytes", "max_norm"}) == limits with input as asked with data.data.resources as limited
	}
}

test_the_parts_of_a_model_are_given_by_role_and_purpose if {
	parts := {"a": {"shards": {
		"adapter": {"training": {"trainer": true}, "serving": {"consumer": true}},
		"head": {"serving": {"consumer": true}},
	}}}
	at := samples.put(samples.serving, "/resource/id", "a")
	every case in [
		[["consumer"], "serving", ["adapter", "head"]],
		[["trainer"], "training", ["adapter"]],
		[["trainer"], "serving", []],
		[["gateway"], "training", []],
		[["trainer", "consumer"], "training", ["adapter"]],
		[[], "serving", []],
		[["consumer"], null, []],
	] {
		roles := samples.put(at, "/subject/properties/roles", case[0])
		asked := samples.put(roles, "/context/purpose", case[1])
		model.divided == {"shards": case[2]} with input as asked with data.data.resources as parts
	}
}

test_updates_are_sealed_where_the_models_entry_says_so if {
	asked := samples.put(samples.granting, "/resource/id", "a")
	terms := {"level": "hardware", "age_seconds": 900}
	named := object.union(terms, {"references": ["gateways", "sensors"]})
	every entry, expected in {
		{"transport": {"sealed_to": terms}}: {"seal": named},
		{"transport": {}}: {},
		{}: {},
	} {
		model.sealing == expected with input as asked
			with data.data.resources as {"a": entry}
			with data.data.attestation.references as {"sensors": {}, "gateways": {}, "taken-back": null}
	}
}

test_a_model_without_parts_is_given_whole if {
	asked := samples.put(samples.serving, "/resource/id", "a")
	model.divided == {} with input as asked with data.data.resources as {"a": {}}
}

test_a_model_whose_parts_cannot_be_read_is_given_to_nobody if {
	asked := samples.put(samples.serving, "/resource/id", "a")
	every entry in [{"shards": null}, {"shards": []}, {"shards": "adapter"}, {"shards": {"adapter": true}}] {
		model.divided == {"shards": []} with input as asked with data.data.resources as {"a": entry}
	}
}

test_where_it_cannot_be_read_how_updates_travel_they_are_sealed_to_nobody if {
	asked := samples.put(samples.granting, "/resource/id", "a")
	every transport in [null, "plain", {"sealed_to": null}, {"sealed_to": "hardware"}, {"sealed": {}}] {
		model.sealing == {"seal": model.to_nobody} with input as asked
			with data.data.resources as {"a": {"transport": transport}}
	}
	told := {"sealed_to": {"level": "software", "age_seconds": 900}}
	tee := {"confidentiality": "tee", "transport": told}
	model.sealing == {"seal": model.to_nobody} with input as asked
		with data.data.resources as {"a": tee}
		with data.data.limits as {}
}

test_a_segment_allows_its_actions_alone if {
	guest := samples.put(samples.serving, "/subject/properties/segment", "guests")
	not "segment_allowed" in model.proven with input as guest
	"segment_allowed" in model.proven with input as samples.put(guest, "/action/name", "inference")
}

test_a_model_whose_limits_cannot_be_read_is_not_known if {
	known := data.data.resources["fall-detection"]
	fall := samples.put(samples.serving, "/resource/id", "fall-detection")
	every limits in [null, true, 1, "none", []] {
		unread := {"fall-detection": object.union(known, {"limits": limits})}
		not "resource_known" in model.proven with input as fall with data.data.resources as unread
	}
	unlimited := {"fall-detection": object.remove(known, ["limits"])}
	"resource_known" in model.proven with input as fall with data.data.resources as unlimited
}

test_a_window_whose_ends_are_no_numbers_never_opens if {
	every change in [
		{"closes_minute_utc": "x"},
		{"closes_minute_utc": []},
		{"opens_minute_utc": null},
		{"opens_minute_utc": true},
	] {
		odd := resources(object.union(night, change))
		not "window_open" in model.proven with input as at(midnight + 7200) with data.data.resources as odd
	}
}
