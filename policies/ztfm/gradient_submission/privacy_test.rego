package ztfm.gradient_submission_test

import data.ztfm.gradient_submission
import data.ztfm.lib.samples_test as samples

local := samples.noise_of("local")

central := samples.noise_of("central")

noising := samples.put(samples.granting, "/context/privacy", samples.costs("local"))

summing := samples.put(samples.granting, "/context/privacy", {
	"known": true,
	"cause": "",
	"terms": samples.noise_terms("central"),
	"budget": {"epsilon": 2, "window_days": 7},
	"round_charged": true,
})

noised := json.patch(samples.admitting, [
	{"op": "add", "path": "/context/capability/privacy", "value": samples.noise_terms("local")},
	{"op": "replace", "path": "/context/evidence/norm", "value": 1200},
	{"op": "replace", "path": "/context/evidence/parameters", "value": 10000},
	{"op": "replace", "path": "/context/capability/max_norm", "value": 1e12},
])

test_a_device_is_granted_a_submission_that_it_adds_noise_to if {
	limited := {"smart-home-intents": object.union(data.data.resources["smart-home-intents"], {"limits": {
		"epsilon": 0.75,
		"max_norm": 10,
	}})}
	decision := gradient_submission.decision with input as noising with data.data.privacy as local
		with data.data.resources as limited
	decision.allow
	decision.obligations == {"epsilon": 0.75, "privacy": samples.noise_terms("local"), "watch": false}
}

test_a_budget_that_is_used_up_denies_until_it_has_room if {
	later := samples.now + 86400
	spent := json.patch(noising, [
		{"op": "replace", "path": "/context/privacy/epsilon_after", "value": 2.25},
		{"op": "add", "path": "/context/privacy/returns_at", "value": later},
	])
	decision := gradient_submission.decision with input as spent with data.data.privacy as local
	not decision.allow
	decision.obligations == {}
	[reason] := decision.reasons
	reason.code == "privacy_budget_left"
	reason.until == later
}

test_without_what_it_costs_nothing_is_granted if {
	decision := gradient_submission.decision with input as samples.granting with data.data.privacy as local
	samples.codes(decision) == {"privacy_budget_left", "privacy_cost_bounded", "privacy_known"}
	unread := gradient_submission.decision with input as noising with data.data.privacy as {}
	samples.codes(unread) == {"privacy_budget_left", "privacy_cost_bounded", "privacy_known"}
}

test_of_an_unknown_cost_nothing_is_granted if {
	unknown := samples.put(samples.granting, "/context/privacy", {"known": false, "cause": "accountant_missing"})
	decision := gradient_submission.decision with input as unknown with data.data.privacy as local
	samples.codes(decision) == {"privacy_budget_left", "privacy_cost_bounded", "privacy_known"}
	gradient_submission.decision.allow with input as unknown
}

test_a_device_sends_to_a_round_that_was_charged_what_the_aggregator_clips_to if {
	decision := gradient_submission.decision with input as summing with data.data.privacy as central
	decision.allow
	decision.obligations == {"max_norm": 1.5, "watch": false}
	uncharged := samples.put(summing, "/context/privacy/round_charged", false)
	denied := gradient_submission.decision with input as uncharged with data.data.privacy as central
	samples.codes(denied) == {"privacy_budget_left", "privacy_cost_bounded"}
}

test_a_noised_update_is_admitted_and_one_without_noise_is_not if {
	gradient_submission.decision.allow with input as noised with data.data.privacy as local
	bare := samples.put(noised, "/context/evidence/norm", 1.4)
	found := gradient_submission.decision with input as bare with data.data.privacy as local
	samples.codes(found) == {"update_noised"}
	unasked := samples.without(noised, "/context/capability/privacy")
	other := gradient_submission.decision with input as unasked with data.data.privacy as local
	samples.codes(other) == {"update_noised"}
}

test_no_exception_waives_a_budget if {
	waiver := {
		"subject": samples.granting.subject.id,
		"resource": "smart-home-intents",
		"action": "gradient_submission",
		"waives": {"privacy_budget_left": true, "privacy_cost_bounded": true, "privacy_known": true},
		"approver": "operator@example.org",
		"reason": "We would like to.",
		"starts_at": samples.now - 1,
		"ends_at": samples.now + 1,
	}
	asked := samples.put(samples.granting, "/context/exceptions", {"exc-1": waiver})
	decision := gradient_submission.decision with input as asked with data.data.privacy as local
	count(decision.reasons) == 3
}
