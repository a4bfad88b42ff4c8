package ztfm.behaviour_test

import data.data.limits
import data.ztfm.behaviour

asked := {"channels": ["updates", "access", "inference"]}

weighted := {"weights": {"access": 0.2, "inference": 0.3, "updates": 0.5}}

test_the_terms_that_are_shipped_are_the_data if {
	terms := behaviour.terms with input as asked
	terms == data.data.behaviour
}

test_the_weights_that_are_shipped_add_up_to_one if {
	terms := behaviour.terms with input as asked
	abs(sum([weight | some weight in terms.weights]) - 1) < 0.000001
}

test_the_bets_that_are_shipped_are_in_play_within_a_horizon if {
	terms := behaviour.terms with input as asked
	terms.hazard * terms.horizon > 1
}

test_a_newcomer_is_trusted_by_half_and_not_in_full if {
	terms := behaviour.terms with input as asked
	trust := terms.newcomer / (terms.newcomer + (terms.confidence * terms.confidence))
	trust > limits.sensitivities.internal.trust_minimum
	trust < limits.trust.full
}

test_calibrations_that_are_shipped_are_ascending if {
	terms := behaviour.terms with input as asked
	every scores in terms.calibration {
		scores == sort(scores)
		count(scores) >= terms.comparable
	}
	terms.calibration.any
}

test_a_channel_without_weight_has_no_terms if {
	every weights in [{}, {"access": 1}, {"access": 0.5, "inference": "0.5", "updates": 0}, {"updates": null}, null, 1] {
		not behaviour.terms with input as asked with data.data.behaviour as {"weights": weights}
	}
}

test_only_what_is_asked_about_needs_a_weight if {
	alone := {"weights": {"updates": 1}}
	terms := behaviour.terms with input as {"channels": ["updates"]} with data.data.behaviour as alone
	terms == alone
}

test_without_data_there_are_no_terms if {
	every kept in [{}, null, [weighted], "weights", true, 1] {
		not behaviour.terms with input as asked with data.data.behaviour as kept
	}
}

test_nobody_asks_for_nothing if {
	every question in [{}, {"channels": []}, {"channels": null}, {"channels": "updates"}, {"channels": {}}] {
		not behaviour.terms with input as question with data.data.behaviour as weighted
	}
}
