package ztfm.enrolment_test

import data.ztfm.enrolment
import data.ztfm.lib.samples_test as samples

# What breaks each requirement, and the others that fall with it.
broken := {
	"network_allowed": [["/context/network/address", "1.1.1.1"]],
	"proof_verified": [
		["/context/proof/verified", false],
		["/context/proof", {}],
	],
	"resource_kind": [
		["/resource/type", "round"],
		["/subject/type", "user"],
	],
	"roles_fit_segment": [
		["/subject/properties/roles", ["aggregator"]],
		["/subject/properties/roles", []],
	],
	"roles_granted": [
		["/subject/properties/roles", ["trainer", "operator"]],
		["/context/token/roles", []],
		["/context/token/roles", ["consumer"]],
		["/subject/properties/roles", []],
	],
	"segment_granted": [
		["/subject/properties/segment", "guests"],
		["/context/token/segment", "core"],
	],
	"token_unexpired": [
		["/context/token/expires_at", samples.now],
		["/context/time", samples.now + 3601],
		["/context/time", -1],
	],
	"token_unused": [["/context/token/uses", 1]],
	"token_valid": [
		["/context/token/valid", false],
		["/context/token/valid", "true"],
	],
}

test_a_newcomer_with_a_token_may_join if {
	decision := enrolment.decision with input as samples.enrolling
	decision.allow
	decision.obligations == {}
	decision.ttl_seconds == 30
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := enrolment.decision with input as samples.put(samples.enrolling, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.ttl_seconds == 0
		}
	}
}

test_every_requirement_is_tested if {
	enrolment.required == object.keys(broken)
}

test_a_number_is_a_number if {
	every path in ["/context/token/uses", "/context/token/expires_at", "/context/time"] {
		every value in samples.not_numbers {
			decision := enrolment.decision with input as samples.put(samples.enrolling, path, value)
			not decision.allow
		}
	}
}

test_a_token_that_nobody_issued_grants_nothing if {
	decision := enrolment.decision with input as samples.put(
		samples.enrolling,
		"/context/token",
		{"valid": false, "uses": 0, "expires_at": 0, "roles": [], "segment": ""},
	)
	samples.codes(decision) == {"roles_granted", "segment_granted", "token_unexpired", "token_valid"}
}

test_a_segment_that_nobody_drew_takes_nobody if {
	decision := enrolment.decision with input as json.patch(samples.enrolling, [
		{"op": "replace", "path": "/subject/properties/segment", "value": "nowhere"},
		{"op": "replace", "path": "/context/token/segment", "value": "nowhere"},
	])
	samples.codes(decision) == {"network_allowed", "roles_fit_segment", "segment_granted"}
}

test_all_roles_of_a_token_may_be_asked_for if {
	decision := enrolment.decision with input as samples.put(
		samples.enrolling,
		"/subject/properties/roles",
		["consumer", "trainer"],
	)
	decision.allow
}

test_an_empty_input_is_denied if {
	decision := enrolment.decision with input as {}
	samples.codes(decision) == enrolment.required
}
