package ztfm.inference_test

import data.ztfm.inference
import data.ztfm.lib.samples_test as samples

# What breaks each requirement.
broken := {
	"action_not_held": [
		["/context/holds/current", {"hold-1": samples.hold("homes", "inference")}],
		["/context/holds/current", {"hold-1": samples.hold("*", "inference")}],
		["/context/holds/current", {"hold-1": {}}],
		["/context/holds", {}],
	],
	"attestation_fresh": [["/subject/properties/attestation", {}]],
	"attestation_sufficient": [["/subject/properties/attestation/level", true]],
	"holds_known": [
		["/context/holds/known", false],
		["/context/holds", null],
	],
	"inference_sized": [
		["/context/inference", {}],
		["/context/inference/prompt_tokens", 4097],
		["/context/inference/prompt_tokens", -1],
		["/context/inference/max_output_tokens", 0],
	],
	"network_allowed": [["/context/network/address", "fe80::1"]],
	"purpose_allowed": [["/resource/id", "unheard-of"]],
	"requests_within_budget": [
		["/context/usage/requests", 6000],
		["/context/usage/window_seconds", 59],
	],
	"resource_known": [["/resource/type", "service"]],
	"role_granted": [["/subject/properties/roles", ["trainer"]]],
	"segment_allowed": [["/subject/properties/segment", "nowhere"]],
	"subject_active": [["/subject/properties/status", "revoked"]],
	"subject_known": [["/subject/type", "guest"]],
	"tokens_within_budget": [
		["/context/usage/tokens", 199913],
		["/context/usage/tokens", -1],
		["/context/usage/window_seconds", 120],
	],
	"trust_sufficient": [["/subject/properties/trust/score", 0.249]],
}

test_a_trusted_device_gets_full_answers if {
	decision := inference.decision with input as samples.asking
	decision.allow
	decision.obligations == {"detail": "full", "max_output_tokens": 64, "watch": false}
	decision.ttl_seconds == 300
}

test_a_watched_device_gets_labels_alone if {
	decision := inference.decision with input as samples.put(samples.asking, "/subject/properties/trust/score", 0.6)
	decision.allow
	decision.obligations == {"detail": "label_only", "max_output_tokens": 64, "watch": true}
	decision.ttl_seconds == 120
}

test_the_output_is_bounded_by_standing if {
	long := samples.put(samples.asking, "/context/inference/max_output_tokens", 100000)
	full := inference.decision with input as long
	full.obligations.max_output_tokens == 2048
	watched := inference.decision with input as samples.put(long, "/subject/properties/trust/score", 0.25)
	watched.obligations.max_output_tokens == 256
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := inference.decision with input as samples.put(samples.asking, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.ttl_seconds == 0
		}
	}
}

test_every_requirement_is_tested if {
	inference.required == object.keys(broken)
}

test_a_number_is_a_number if {
	every path in [
		"/subject/properties/trust/score",
		"/context/usage/requests",
		"/context/usage/tokens",
		"/context/usage/window_seconds",
		"/context/inference/prompt_tokens",
		"/context/inference/max_output_tokens",
	] {
		every value in samples.not_numbers {
			decision := inference.decision with input as samples.put(samples.asking, path, value)
			not decision.allow
		}
	}
}

test_an_output_that_is_no_number_has_no_size if {
	every value in samples.not_numbers {
		decision := inference.decision with input as samples.put(
			samples.asking,
			"/context/inference/max_output_tokens",
			value,
		)
		"inference_sized" in samples.codes(decision)
	}
}

test_a_guest_may_ask_what_is_open_to_guests if {
	guest := json.patch(samples.asking, [
		{"op": "replace", "path": "/subject/properties/roles", "value": ["consumer"]},
		{"op": "replace", "path": "/subject/properties/segment", "value": "guests"},
		{"op": "replace", "path": "/context/network/address", "value": "10.30.4.5"},
	])
	decision := inference.decision with input as guest
	decision.allow
	closed := inference.decision with input as samples.put(guest, "/resource/id", "fall-detection")
	"segment_allowed" in samples.codes(closed)
}

test_the_last_tokens_of_a_budget_can_be_used if {
	decision := inference.decision with input as samples.put(samples.asking, "/context/usage/tokens", 199912)
	decision.allow
}

test_an_empty_input_is_denied if {
	decision := inference.decision with input as {}
	samples.codes(decision) == inference.required
}
