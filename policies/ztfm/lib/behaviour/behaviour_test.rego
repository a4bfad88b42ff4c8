package ztfm.lib.behaviour_test

import data.ztfm.lib.behaviour
import data.ztfm.lib.samples_test as samples

behaving(change) := samples.put(
	samples.admitting,
	"/context/behaviour",
	object.union(samples.behaviour, change),
)

less(name) := samples.without(samples.admitting, sprintf("/context/behaviour/%s", [name]))

test_sound_behaviour_proves_everything if {
	behaviour.proven == {"behaviour_admitted", "update_plausible"} with input as samples.admitting
}

test_what_was_not_judged_proves_nothing if {
	behaviour.proven == set() with input as samples.granting
	behaviour.proven == set() with input as {}
	every value in [null, true, "trusted", 1, [], ["trusted"]] {
		behaviour.proven == set() with input as samples.put(samples.admitting, "/context/behaviour", value)
	}
}

test_only_whoever_is_trusted_or_watched_is_admitted if {
	every state in ["trusted", "watched"] {
		"behaviour_admitted" in behaviour.proven with input as behaving({"state": state})
	}
	every state in ["recovering", "quarantined", "", "Trusted", null, true, 1, ["trusted"]] {
		not "behaviour_admitted" in behaviour.proven with input as behaving({"state": state})
	}
	not "behaviour_admitted" in behaviour.proven with input as less("state")
}

test_evidence_of_one_over_alpha_is_too_much if {
	every e_value in [0, 1, 49.999] {
		"behaviour_admitted" in behaviour.proven with input as behaving({"e_value": e_value})
	}
	every e_value in [50, 50.001, 1000000000000, -0.001] {
		not "behaviour_admitted" in behaviour.proven with input as behaving({"e_value": e_value})
	}
	every e_value in samples.not_numbers {
		not "behaviour_admitted" in behaviour.proven with input as behaving({"e_value": e_value})
	}
	not "behaviour_admitted" in behaviour.proven with input as less("e_value")
}

test_a_stricter_alpha_asks_for_more_evidence if {
	stricter := object.union(data.data.limits, {"behaviour": object.union(data.data.limits.behaviour, {"alpha": 0.001})})
	"behaviour_admitted" in behaviour.proven with input as behaving({"e_value": 999})
		with data.data.limits as stricter
	not "behaviour_admitted" in behaviour.proven with input as behaving({"e_value": 1000.001})
		with data.data.limits as stricter
}

test_without_an_alpha_nobody_is_admitted if {
	every alpha in [0, "0.02", null, true, []] {
		changed := {"behaviour": object.union(data.data.limits.behaviour, {"alpha": alpha})}
		not "behaviour_admitted" in behaviour.proven with input as samples.admitting
			with data.data.limits as object.union(data.data.limits, changed)
	}
}

test_a_p_value_is_a_share_above_the_least if {
	every p_value in [0.0501, 0.5, 1] {
		"update_plausible" in behaviour.proven with input as behaving({"p_value": p_value})
	}
	every p_value in [0.05, 0, -1, 1.001] {
		not "update_plausible" in behaviour.proven with input as behaving({"p_value": p_value})
	}
	every p_value in samples.not_numbers {
		not "update_plausible" in behaviour.proven with input as behaving({"p_value": p_value})
	}
}

test_without_a_p_value_there_must_have_been_too_few_peers if {
	judged := object.remove(samples.behaviour, {"p_value"})
	every comparable in [0, 1, 19] {
		told := samples.put(samples.admitting, "/context/behaviour", object.union(judged, {"comparable": comparable}))
		"update_plausible" in behaviour.proven with input as told
	}
	every comparable in samples.not_numbers | {20, 180, -1} {
		told := samples.put(samples.admitting, "/context/behaviour", object.union(judged, {"comparable": comparable}))
		not "update_plausible" in behaviour.proven with input as told
	}
	untold := object.remove(judged, {"comparable"})
	not "update_plausible" in behaviour.proven with input as samples.put(
		samples.admitting,
		"/context/behaviour",
		untold,
	)
}

test_few_peers_do_not_excuse_a_p_value_that_is_too_small if {
	not "update_plausible" in behaviour.proven with input as behaving({"p_value": 0.001, "comparable": 3})
}
