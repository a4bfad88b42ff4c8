package ztfm.lib.exceptions_test

import data.ztfm.lib.exceptions
import data.ztfm.lib.samples_test as samples

exception := {
	"resource": "fall-detection",
	"action": "model_access",
	"waives": {"attestation_fresh": true, "attestation_sufficient": true, "window_open": true},
	"approver": "operator@example.org",
	"reason": "Replacement of the attestation service.",
	"from": "2025-11-01T00:00:00Z",
	"until": "2025-11-20T00:00:00Z",
}

device := samples.serving.subject.id

vouched_for := {"signer": "example-lab", "registered_at": samples.now}

asked := json.patch(samples.serving, [
	{"op": "replace", "path": "/resource/id", "value": "fall-detection"},
	{
		"op": "replace",
		"path": "/resource/properties/digest",
		"value": "sha256:3f1c0a9d5b7e2468ace013579bdf02468ace13579bdf02468ace13579bdf0246",
	},
	{"op": "replace", "path": "/context/time", "value": samples.now + 36000},
	{"op": "add", "path": "/context/integrity", "value": {"release": vouched_for}},
])

test_a_current_exception_waives_what_it_names if {
	exceptions.waived == {"attestation_fresh", "attestation_sufficient", "window_open"} with input as asked
		with data.data.exceptions as {device: {"attestation-move": exception}}
}

test_each_waivable_requirement_can_be_waived if {
	waivable := {
		"attestation_fresh",
		"attestation_sufficient",
		"network_allowed",
		"requests_within_budget",
		"tokens_within_budget",
		"trust_sufficient",
		"window_open",
	}
	wide := object.union(exception, {"waives": {code: true | some code in waivable}})
	exceptions.waived == waivable with input as asked with data.data.exceptions as {device: {"wide": wide}}
}

test_a_waived_request_is_allowed_and_says_so if {
	decision := data.ztfm.model_access.decision with input as asked
		with data.data.exceptions as {device: {"attestation-move": exception}}
	decision.allow
	decision.obligations.waived == {"attestation_sufficient", "attestation_fresh", "window_open"}
}

test_without_the_exception_it_is_denied if {
	decision := data.ztfm.model_access.decision with input as asked
	samples.codes(decision) == {"attestation_fresh", "attestation_sufficient", "window_open"}
}

test_an_exception_is_for_one_subject_resource_action_and_time if {
	every change in [
		{"resource": "smart-home-intents"},
		{"action": "inference"},
		{"until": "2025-11-13T00:00:00Z"},
		{"from": "2025-11-14T00:00:00Z"},
	] {
		other := {device: {"attestation-move": object.union(exception, change)}}
		exceptions.waived == set() with input as asked with data.data.exceptions as other
	}
	exceptions.waived == set() with input as asked with data.data.exceptions as {"dev-other": {"x": exception}}
}

test_an_exception_that_is_not_whole_waives_nothing if {
	every change in [
		{"approver": ""},
		{"approver": null},
		{"reason": ""},
		{"from": "yesterday"},
		{"until": null},
		{"until": 2000000000},
		{"approver": " "},
		{"approver": ["operator@example.org"]},
		{"approver": device},
		{"reason": ["Because."]},
		{"reason": " "},
		{"waives": {"attestation_fresh": false, "attestation_sufficient": null, "window_open": "yes"}},
		{"waives": ["attestation_fresh"]},
		{"waives": "attestation_fresh"},
	] {
		other := {device: {"attestation-move": object.union(exception, change)}}
		exceptions.waived == set() with input as asked with data.data.exceptions as other
	}
}

test_an_exception_without_an_end_in_sight_waives_nothing if {
	long := object.union(exception, {"from": "2025-09-01T00:00:00Z", "until": "2025-12-01T00:00:00Z"})
	exceptions.waived == set() with input as asked with data.data.exceptions as {device: {"attestation-move": long}}
}

test_what_must_hold_is_never_waived_whatever_the_data_says if {
	every code in {
		"capability_unused",
		"capability_verified",
		"digest_current",
		"resource_known",
		"role_granted",
		"round_member",
		"round_open",
		"segment_allowed",
		"subject_active",
		"subject_known",
		"submission_outstanding",
		"update_aligned",
		"update_bounded",
		"update_finite",
	} {
		code in exceptions.never
	}
	everything := {code: true | some code in exceptions.never}
	limits := object.union(data.data.limits, {"waivable": object.union(everything, {"window_open": true})})
	wide := object.union(exception, {"waives": object.union(everything, {"window_open": true})})
	exceptions.waived == {"attestation_fresh", "attestation_sufficient", "window_open"} with input as asked
		with data.data.limits as limits
		with data.data.exceptions as {device: {"everything": wide}}
}

test_what_is_named_in_the_limits_is_waived_and_nothing_else if {
	wide := object.union(exception, {"waives": {"of_their_own": true, "window_open": true, "trust_sufficient": true}})
	named := object.union(object.remove(data.data.limits, ["waivable"]), {"waivable": {"of_their_own": true}})
	exceptions.waived == {"of_their_own"} with input as asked
		with data.data.limits as named
		with data.data.exceptions as {device: {"wide": wide}}
	every waivable in [null, true, ["window_open"], {"window_open": "true"}, {}] {
		odd := object.union(object.remove(data.data.limits, ["waivable"]), {"waivable": waivable})
		exceptions.waived == set() with input as asked
			with data.data.limits as odd
			with data.data.exceptions as {device: {"wide": wide}}
	}
}

test_a_time_that_is_no_number_waives_nothing if {
	every value in samples.not_numbers {
		exceptions.waived == set() with input as samples.put(asked, "/context/time", value)
			with data.data.exceptions as {device: {"attestation-move": exception}}
	}
}
