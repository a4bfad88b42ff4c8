package ztfm.enrolment_test

import data.ztfm.enrolment
import data.ztfm.lib.samples_test as samples

# What breaks each requirement on a credential, and the others that fall with it.
credential_broken := {
	"credential_accepted": [
		["issuer", "did:web:other.invalid"],
		["issuer", ""],
		["issuer", null],
		["vct", "https://issuer.invalid/other"],
		["vct", ["https://issuer.invalid/device"]],
	],
	"credential_bound": [["key_bound", false], ["key_bound", "true"], ["key_bound", 1]],
	"credential_claims": [
		["claims", {}],
		["claims", {"model": "hub-2"}],
		["claims", {"model": ["hub-3"]}],
		["claims", {"MODEL": "hub-3"}],
		["claims", null],
	],
	"credential_fresh": [["age_seconds", 31536000.5], ["age_seconds", -1]],
	"credential_unexpired": [["expires_at", samples.now], ["expires_at", 0]],
	"credential_unrevoked": [["status", "unknown"], ["status", ""], ["status", null]],
	"credential_valid": [["valid", false], ["valid", 1], ["cause", "expired"], ["cause", null]],
}

crediting_with(name, value) := samples.put(samples.crediting, sprintf("/context/credential/%s", [name]), value)

test_each_requirement_on_a_credential_is_missed if {
	enrolment.evidence.credential == object.keys(credential_broken)
	every code, breaks in credential_broken {
		every change in breaks {
			decision := enrolment.decision with input as crediting_with(change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
		}
	}
}

test_nothing_of_a_credential_may_be_left_out if {
	every name, _ in samples.crediting.context.credential {
		pointer := sprintf("/context/credential/%s", [name])
		decision := enrolment.decision with input as samples.without(samples.crediting, pointer)
		not decision.allow
	}
}

test_a_number_of_a_credential_is_a_number if {
	every name in ["age_seconds", "expires_at"] {
		every value in samples.not_numbers {
			decision := enrolment.decision with input as crediting_with(name, value)
			not decision.allow
		}
	}
}

test_a_credential_of_an_issuer_whom_nobody_accepts_brings_nothing if {
	decision := enrolment.decision with input as crediting_with("issuer", "did:web:other.invalid")
	samples.codes(decision) == {
		"credential_accepted",
		"credential_claims",
		"credential_fresh",
		"roles_granted",
		"segment_granted",
	}
}

test_claims_that_the_data_do_not_spell_out_accept_nothing if {
	every claims in [null, [], "model", 0] {
		data_with := json.patch(data.data.enrolment, [{
			"op": "replace",
			"path": "/issuers/did:web:issuer.invalid/types/https:~1~1issuer.invalid~1device/claims",
			"value": claims,
		}])
		decision := enrolment.decision with input as samples.crediting with data.data.enrolment as data_with
		samples.codes(decision) == {"credential_claims"}
	}
}

test_claims_are_of_the_type_that_the_data_have if {
	data_with := json.patch(data.data.enrolment, [{
		"op": "replace",
		"path": "/issuers/did:web:issuer.invalid/types/https:~1~1issuer.invalid~1device/claims/model",
		"value": [true, false, 3],
	}])
	every value in [true, false, 3, 3.0] {
		decision := enrolment.decision with input as crediting_with("claims", {"model": value})
			with data.data.enrolment as data_with
		decision.allow
	}
	every value in ["true", "3", 1, 0, null, "", [true]] {
		decision := enrolment.decision with input as crediting_with("claims", {"model": value})
			with data.data.enrolment as data_with
		not decision.allow
	}
}
