package ztfm.lib.holds_test

import data.ztfm.lib.holds
import data.ztfm.lib.samples_test as samples

hold := {
	"segment": "homes",
	"actions": ["gradient_submission"],
	"alert": "ZtfmPoisoningCampaign",
	"fingerprint": "0f1e2d3c4b5a6978",
	"starts_at": samples.now - 60,
	"ends_at": samples.now + 840,
}

holding(changes) := {"known": true, "current": {"hold-1": object.union(hold, changes)}}

put(value) := samples.put(samples.granting, "/context/holds", value)

both := {"action_not_held", "holds_known"}

test_where_nothing_is_held_nothing_is_in_the_way if {
	holds.proven == both with input as samples.granting
}

test_what_is_held_in_the_segment_is_not_done if {
	every changes in [{}, {"segment": "*"}, {"actions": ["inference", "gradient_submission"]}] {
		holds.proven == {"holds_known"} with input as put(holding(changes))
	}
}

test_a_hold_spares_what_it_is_not_about if {
	every changes in [
		{"segment": "guests"},
		{"actions": ["inference"]},
		{"actions": ["inference", "model_access"]},
		{"ends_at": samples.now},
		{"ends_at": samples.now - 0.5},
	] {
		holds.proven == both with input as put(holding(changes))
	}
}

test_of_several_holds_one_is_enough if {
	several := {"known": true, "current": {
		"hold-1": object.union(hold, {"segment": "guests"}),
		"hold-2": hold,
		"hold-3": object.union(hold, {"ends_at": samples.now}),
	}}
	holds.proven == {"holds_known"} with input as put(several)
}

test_a_hold_that_cannot_be_read_spares_nothing if {
	every changes in [
		{"segment": null},
		{"segment": ""},
		{"segment": ["guests"]},
		{"actions": []},
		{"actions": null},
		{"actions": "inference"},
		{"actions": ["unheard_of"]},
		{"actions": [null]},
		{"ends_at": null},
		{"ends_at": "0"},
		{"ends_at": false},
	] {
		holds.proven == {"holds_known"} with input as put(holding(changes))
	}
	holds.proven == {"holds_known"} with input as put({"known": true, "current": {"hold-1": null}})
	holds.proven == {"holds_known"} with input as put({"known": true, "current": {"hold-1": {}}})
}

test_what_is_not_known_is_not_proven if {
	every known in [false, null, 1, "true"] {
		"holds_known" in (both - holds.proven) with input as put({"known": known, "current": {}})
	}
	every current in [null, [], [hold], "", 0, true] {
		holds.proven == set() with input as put({"known": true, "current": current})
	}
	every value in [null, [], {}, "", true] {
		holds.proven == set() with input as put(value)
	}
	holds.proven == set() with input as samples.without(samples.granting, "/context/holds")
	holds.proven == set() with input as {}
}

test_without_a_time_no_hold_has_ended if {
	every value in samples.not_numbers {
		asked := samples.put(put(holding({"ends_at": samples.now - 1})), "/context/time", value)
		holds.proven == {"holds_known"} with input as asked
	}
}

test_of_whom_no_segment_is_known_no_hold_spares if {
	every segment in [null, 7, []] {
		asked := samples.put(put(holding({"segment": "guests"})), "/subject/properties/segment", segment)
		holds.proven == {"holds_known"} with input as asked
	}
}
