package ztfm.model_access_test

import data.ztfm.lib.samples_test as samples
import data.ztfm.model_access

steady_for(seconds) := samples.put(restricted, "/subject/properties/trust/history/steady_seconds", seconds)

test_a_restricted_model_is_pulled_by_whose_trust_has_not_fallen_for_a_week if {
	model_access.decision.allow with input as steady_for(604800)
	samples.codes(model_access.decision) == {"trust_steady"} with input as steady_for(604799.9)
}

test_of_whom_it_is_not_known_a_restricted_model_is_not_pulled if {
	unknown := samples.without(restricted, "/subject/properties/trust/history")
	samples.codes(model_access.decision) == {"trust_steady"} with input as unknown
	every value in samples.not_numbers {
		samples.codes(model_access.decision) == {"trust_steady"} with input as steady_for(value)
	}
}

test_other_models_are_pulled_by_whose_trust_fell_just_now if {
	fell := samples.put(samples.training, "/subject/properties/trust/history/steady_seconds", 0)
	model_access.decision.allow with input as fell
}

test_without_a_number_for_its_sensitivity_nothing_is_pulled if {
	every seconds in [{}, {"restricted": null}, {"restricted": "0"}] {
		samples.codes(model_access.decision) == {"trust_steady"} with input as restricted
			with data.data.steadiness as {"seconds": seconds}
	}
}

test_a_signed_exception_lets_one_device_past_it if {
	signed := {
		"resource": "fall-detection",
		"action": "model_access",
		"waives": {"trust_steady": true},
		"approver": "operator@example.org",
		"reason": "One bad sensor reading; the device was looked at.",
		"from": "2025-11-01T00:00:00Z",
		"until": "2025-11-20T00:00:00Z",
	}
	decision := model_access.decision with input as steady_for(60)
		with data.data.exceptions as {restricted.subject.id: {"bad-reading": signed}}
	decision.allow
	decision.obligations.waived == {"trust_steady"}
	decision.obligations.exceptions == {"bad-reading"}
}
