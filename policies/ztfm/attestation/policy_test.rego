package ztfm.attestation_test

import data.ztfm.attestation
import data.ztfm.lib.samples_test as samples

shown := samples.attesting

claims := "/context/evidence/claims"

# What breaks each requirement, in all evidence that verifies.
broken := {
	"advisories_accepted": [
		["/context/evidence/claims/advisories", ["SA-00615"]],
		["/context/evidence/claims/advisories", {}],
		["/context/evidence/claims/advisories", null],
	],
	"anchor_known": [
		["/context/evidence/claims/anchor", "somebody"],
		["/context/evidence/claims/anchor", null],
		["/context/evidence/claims/kind", "sgx"],
	],
	"attributes_match": [
		["/context/evidence/claims/attributes/bank", "sha1"],
		["/context/evidence/claims/attributes/vouched_by", "listed"],
		["/context/evidence/claims/attributes", {}],
		["/context/evidence/claims/attributes", null],
	],
	"challenge_fresh": [
		["/context/challenge/valid", false],
		["/context/challenge/valid", "true"],
		["/context/challenge/age_seconds", 120.5],
		["/context/challenge/age_seconds", -1],
		["/context/challenge", {}],
	],
	"debug_off": [
		["/context/evidence/claims/debug", true],
		["/context/evidence/claims/debug", null],
		["/context/evidence/claims/debug", "false"],
	],
	"evidence_bound": [
		["/context/evidence/answers", false],
		["/context/evidence/answers", "true"],
		["/context/evidence/binding", "00"],
		["/context/evidence/binding", null],
		["/context/evidence/claims/bound", "00"],
		["/context/evidence/claims/bound", null],
	],
	"evidence_verified": [
		["/context/evidence/verified", false],
		["/context/evidence/verified", "true"],
		["/context/evidence/cause", "signature"],
		["/context/evidence/cause", null],
	],
	"measurements_match": [
		["/context/evidence/claims/measurements/pcr15", "01"],
		["/context/evidence/claims/measurements/pcr15", null],
		["/context/evidence/claims/measurements", {}],
		["/context/evidence/claims/measurements", []],
	],
	"platform_allowed": [
		["/context/evidence/claims/platform", null],
		["/context/evidence/claims/platform", 1],
	],
	"platform_unshared": [
		["/context/platform/others", 1001],
		["/context/platform/others", -1],
		["/context/platform/others", "0"],
		["/context/platform/others", null],
		["/context/platform", {}],
	],
	"reference_known": [
		["/context/evidence/claims/anchor", "somebody"],
		["/context/evidence/claims/kind", "sgx"],
		["/context/evidence/claims", {}],
	],
	"resource_kind": [
		["/resource/type", "model"],
		["/resource/type", null],
		["/resource/id", 1],
	],
	"status_accepted": [
		["/context/evidence/claims/status", "revoked"],
		["/context/evidence/claims/status", null],
	],
	"subject_active": [
		["/subject/properties/status", "quarantined"],
		["/subject/properties", {}],
	],
	"subject_known": [
		["/subject/type", "person"],
		["/subject/properties/key_thumbprint", null],
	],
}

test_evidence_that_agrees_proves_what_its_root_is_worth if {
	decision := attestation.decision with input as shown
	decision.allow
	decision.obligations == {
		"attested": {
			"level": "software",
			"reference": "software-tpm",
			"vector": {"executables": "affirming", "hardware": "none", "instance_identity": "affirming"},
		},
		"lifetime_seconds": 900,
	}
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := attestation.decision with input as samples.put(shown, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			not "attested" in object.keys(decision.obligations)
		}
	}
}

test_every_requirement_is_tested if {
	required := attestation.required with input as shown
	required - object.keys(broken) == {"platform_kept", "versions_sufficient"}
}

test_a_number_is_a_number if {
	every value in samples.not_numbers {
		decision := attestation.decision with input as samples.put(shown, "/context/challenge/age_seconds", value)
		"challenge_fresh" in samples.codes(decision)
	}
}

test_of_evidence_that_does_not_verify_no_claim_is_asked_for if {
	refused := json.patch(shown, [
		{"op": "remove", "path": claims},
		{"op": "replace", "path": "/context/evidence/verified", "value": false},
		{"op": "replace", "path": "/context/evidence/answers", "value": false},
		{"op": "replace", "path": "/context/evidence/cause", "value": "signature"},
	])
	decision := attestation.decision with input as refused
	samples.codes(decision) == {"evidence_bound", "evidence_verified"}
	decision.obligations == {}
	[reason.differences | some reason in decision.reasons; reason.code == "evidence_verified"] == [[{
		"claim": "evidence",
		"seen": "signature",
		"wanted": ["verified"],
	}]]
}

test_an_empty_input_is_denied if {
	codes := samples.codes(attestation.decision) with input as {}
	codes == {
		"challenge_fresh",
		"evidence_bound",
		"evidence_verified",
		"resource_kind",
		"subject_active",
		"subject_known",
	}
}

test_without_data_nothing_is_proven if {
	decision := attestation.decision with input as shown with data.data.attestation as {}
	not decision.allow
	decision.obligations == {}
}
