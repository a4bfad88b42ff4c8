package ztfm.model_access_test

import data.ztfm.lib.samples_test as samples
import data.ztfm.model_access

# What breaks each requirement of a pull for training, and it alone.
broken_training := {
	"action_not_held": [
		["/context/holds/current", {"hold-1": samples.hold("homes", "model_access")}],
		["/context/holds/current", {"hold-1": samples.hold("*", "model_access")}],
		["/context/holds/current", {"hold-1": {}}],
		["/context/holds", {}],
	],
	"attestation_fresh": [["/subject/properties/attestation/level", "unheard-of"]],
	"attestation_sufficient": [["/subject/properties/attestation/level", null]],
	"digest_current": [
		["/resource/properties/digest", "sha256:00"],
		["/context/round/model_digest", "sha256:00"],
	],
	"holds_known": [
		["/context/holds/known", false],
		["/context/holds", null],
	],
	"model_signed": [["/resource/id", "unheard-of"]],
	"network_allowed": [
		["/context/network/address", "8.8.8.8"],
		["/context/network/address", "no address"],
		["/context/network", {}],
		["/subject/properties/segment", "nowhere"],
	],
	"purpose_allowed": [
		["/context/purpose", "resale"],
		["/context/purpose", null],
	],
	"requests_within_budget": [
		["/context/usage/requests", 6000],
		["/context/usage/requests", -1],
		["/context/usage/window_seconds", 1],
	],
	"resource_known": [
		["/resource/id", "unheard-of"],
		["/resource/type", "dataset"],
	],
	"role_granted": [
		["/subject/properties/roles", ["consumer", "operator"]],
		["/subject/properties/roles", []],
	],
	"round_for_model": [["/context/round/model", "sentence-encoder"]],
	"round_known": [
		["/context/round", {}],
		["/context/round/id", ""],
	],
	"round_member": [
		["/context/round/member", false],
		["/context/round/member", "true"],
	],
	"round_open": [
		["/context/round/state", "closed"],
		["/context/round/opens_at", samples.now + 1],
		["/context/round/closes_at", samples.now],
	],
	"segment_allowed": [
		["/subject/properties/segment", "guests"],
		["/subject/properties/segment", "nowhere"],
	],
	"subject_active": [
		["/subject/properties/status", "quarantined"],
		["/subject/properties/status", "revoked"],
	],
	"subject_known": [
		["/subject/type", "user"],
		["/subject/properties", {}],
	],
	"trust_sufficient": [
		["/subject/properties/trust/score", 0.249],
		["/subject/properties/trust/score", 1.01],
		["/subject/properties/trust/score", -1],
	],
}

test_a_trainer_may_pull_for_a_round if {
	decision := model_access.decision with input as samples.training
	decision.allow
	decision.reasons == []
	decision.ttl_seconds == 300
	decision.obligations == {"watch": false}
}

test_each_requirement_of_training_is_missed if {
	every code, breaks in broken_training {
		every change in breaks {
			decision := model_access.decision with input as samples.put(samples.training, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.ttl_seconds == 0
			decision.obligations == {}
		}
	}
}

test_every_requirement_of_training_is_tested if {
	required := model_access.required with input as samples.training
	required - object.keys(broken_training) == {"window_open"}
}

test_a_number_is_a_number if {
	every path in [
		"/subject/properties/trust/score",
		"/context/usage/requests",
		"/context/usage/window_seconds",
		"/context/round/opens_at",
		"/context/round/closes_at",
		"/context/time",
	] {
		every value in samples.not_numbers {
			decision := model_access.decision with input as samples.put(samples.training, path, value)
			not decision.allow
		}
	}
}

test_a_consumer_may_pull_what_is_served if {
	decision := model_access.decision with input as samples.serving
	decision.allow
}

# What breaks each requirement of a pull for serving.
broken_serving := {
	"action_not_held": [
		["/context/holds/current", {"hold-1": samples.hold("homes", "model_access")}],
		["/context/holds/current", {"hold-1": samples.hold("*", "model_access")}],
		["/context/holds/current", {"hold-1": {}}],
		["/context/holds", {}],
	],
	"attestation_fresh": [["/subject/properties/attestation", {}]],
	"attestation_sufficient": [["/subject/properties/attestation/level", "unheard-of"]],
	"digest_released": [
		["/resource/properties/digest", "md5:00"],
		["/resource/properties/digest", null],
	],
	"holds_known": [
		["/context/holds/known", false],
		["/context/holds", null],
	],
	"model_signed": [["/resource/id", "fall-detection"]],
	"network_allowed": [["/context/network/address", "203.0.113.9"]],
	"purpose_allowed": [["/resource/id", "unheard-of"]],
	"requests_within_budget": [["/context/usage/requests", 6000]],
	"resource_known": [["/resource/type", "dataset"]],
	"role_granted": [["/subject/properties/roles", ["trainer"]]],
	"segment_allowed": [["/subject/properties/segment", "guests"]],
	"subject_active": [["/subject/properties/status", "quarantined"]],
	"subject_known": [["/subject/type", "user"]],
	"trust_sufficient": [["/subject/properties/trust/score", 0.249]],
}

test_each_requirement_of_serving_is_missed if {
	every code, breaks in broken_serving {
		every change in breaks {
			decision := model_access.decision with input as samples.put(samples.serving, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
		}
	}
}

test_every_requirement_of_serving_is_tested if {
	required := model_access.required with input as samples.serving
	required - object.keys(broken_serving) == {"window_open"}
}

test_serving_needs_no_round_but_a_digest if {
	decision := model_access.decision with input as samples.without(samples.serving, "/resource/properties/digest")
	samples.codes(decision) == {"digest_released"}
}

test_a_trainer_may_not_pull_for_serving if {
	decision := model_access.decision with input as samples.put(samples.serving, "/subject/properties/roles", ["trainer"])
	samples.codes(decision) == {"requests_within_budget", "role_granted"}
}

test_a_model_is_pulled_for_its_purposes_alone if {
	decision := model_access.decision with input as samples.put(samples.training, "/resource/id", "sentence-encoder")
	samples.codes(decision) == {"purpose_allowed", "round_for_model"}
}

test_without_a_purpose_nothing_is_pulled if {
	decision := model_access.decision with input as samples.without(samples.training, "/context/purpose")
	samples.codes(decision) == {"purpose_allowed"}
}

test_an_empty_input_is_denied if {
	decision := model_access.decision with input as {}
	not decision.allow
	decision.rules == {"purpose_allowed"}
}

test_a_watched_device_pulls_for_a_shorter_time if {
	decision := model_access.decision with input as samples.put(samples.training, "/subject/properties/trust/score", 0.6)
	decision.allow
	decision.obligations == {"watch": true}
	decision.ttl_seconds == 120
}

released := "sha256:3f1c0a9d5b7e2468ace013579bdf02468ace13579bdf02468ace13579bdf0246"

restricted := json.patch(samples.serving, [
	{"op": "replace", "path": "/resource/id", "value": "fall-detection"},
	{"op": "replace", "path": "/resource/properties/digest", "value": released},
	{"op": "replace", "path": "/subject/properties/attestation", "value": {"level": "hardware", "age_seconds": 30.5}},
	{"op": "add", "path": "/context/integrity", "value": vouched("example-lab")},
])

vouched(signer) := {"release": {"signer": signer, "registered_at": samples.now - 86400}}

test_a_restricted_model_is_served_from_what_its_signer_registered_alone if {
	every found in [{}, {"release": {}}, {"base": vouched("example-lab").release}, vouched("stranger"), null] {
		decision := model_access.decision with input as samples.put(restricted, "/context/integrity", found)
		samples.codes(decision) == {"model_signed"}
	}
	unsaid := samples.without(restricted, "/context/integrity")
	samples.codes(model_access.decision) == {"model_signed"} with input as unsaid
}

test_an_attested_device_may_pull_a_restricted_model_in_its_window if {
	decision := model_access.decision with input as restricted
	decision.allow
	decision.ttl_seconds == 60
}

test_a_restricted_model_is_pulled_in_its_window_alone if {
	decision := model_access.decision with input as samples.put(restricted, "/context/time", samples.now + 10800)
	samples.codes(decision) == {"window_open"}
}

test_a_restricted_model_needs_full_trust if {
	decision := model_access.decision with input as samples.put(restricted, "/subject/properties/trust/score", 0.69)
	samples.codes(decision) == {"trust_sufficient"}
}

test_a_restricted_model_needs_fresh_hardware_evidence if {
	stale := samples.put(restricted, "/subject/properties/attestation/age_seconds", 901)
	samples.codes(model_access.decision) == {"attestation_fresh"} with input as stale
	weak := samples.put(restricted, "/subject/properties/attestation/level", "software")
	samples.codes(model_access.decision) == {"attestation_sufficient"} with input as weak
}

test_a_pinned_model_is_pulled_by_a_released_digest if {
	decision := model_access.decision with input as samples.put(restricted, "/resource/properties/digest", samples.digest)
	samples.codes(decision) == {"digest_released"}
}
