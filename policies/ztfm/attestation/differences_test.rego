package ztfm.attestation_test

import data.ztfm.attestation
import data.ztfm.lib.samples_test as samples

# By change, the requirement that it breaks, and what the denial says of the claim.
told := [
	["measurements/pcr15", one, "measurements_match", ["measurements.pcr15", one, [zero]]],
	["attributes/bank", "sha1", "attributes_match", ["attributes.bank", "sha1", ["sha256"]]],
	["attributes", {}, "attributes_match", ["attributes.bank", "", ["sha256"]]],
	["status", "revoked", "status_accepted", ["status", "revoked", ["unstated"]]],
	["anchor", "somebody", "anchor_known", ["anchor", "somebody", ["swtpm"]]],
	["anchor", "somebody", "reference_known", ["anchor", "somebody", ["swtpm"]]],
	["debug", true, "debug_off", ["debug", "true", ["false"]]],
	["bound", "00", "evidence_bound", ["bound", "00", [samples.platform_claims.bound]]],
	["advisories", ["SA-1"], "advisories_accepted", ["advisories", "SA-1", []]],
]

about(decision, code) := {[one_of.claim, one_of.seen, one_of.wanted] |
	some reason in decision.reasons
	reason.code == code
	some one_of in reason.differences
}

test_a_denial_names_the_claim_and_what_was_seen_and_what_was_wanted if {
	every change in told {
		path := concat("/", ["/context/evidence/claims", change[0]])
		decision := attestation.decision with input as samples.put(shown, path, change[1])
		change[3] in about(decision, change[2])
	}
}

test_a_version_and_a_platform_are_named_too if {
	older := samples.put(shown, "/context/evidence/claims/versions/firmware0", 1)
	decision := attestation.decision with input as older with data.data.attestation as versioned
	about(decision, "versions_sufficient") == {["versions.firmware0", "1", ["at least 8217"]]}
	other := samples.put(shown, "/context/evidence/claims/platform", "00")
	second := attestation.decision with input as other with data.data.attestation as named
	about(second, "platform_allowed") == {["platform", "00", ["one of those that are named"]]}
	not contains(json.marshal(second), samples.platform_claims.platform)
}

test_a_platform_that_was_another_is_named if {
	other := samples.put(shown, "/context/evidence/platform", "other")
	kept := knowing({"gateways": {"platform_kept": true}})
	decision := attestation.decision with input as other with data.data.attestation as kept
	about(decision, "platform_kept") == {["platform", samples.platform_claims.platform, ["the one shown before"]]}
}

test_what_holds_is_not_told_of if {
	differences := attestation.differences with input as shown
	every _, some_differences in differences {
		count(some_differences) == 0
	}
}

test_what_contradicts_takes_away_what_was_proven if {
	every change in [["measurements/pcr15", one], ["debug", true], ["status", "revoked"], ["anchor", "somebody"]] {
		path := concat("/", ["/context/evidence/claims", change[0]])
		decision := attestation.decision with input as samples.put(shown, path, change[1])
		decision.obligations == {"withdraw_attestation": true}
		decision.ttl_seconds == 0
	}
}

test_what_does_not_verify_or_does_not_answer_takes_nothing_away if {
	tampered := measured(one)
	every change in [
		["/context/evidence/verified", false],
		["/context/evidence/cause", "expired"],
		["/context/evidence/answers", false],
		["/context/evidence/binding", null],
		["/context/challenge/valid", false],
		["/context/challenge/age_seconds", 121],
	] {
		decision := attestation.decision with input as samples.put(tampered, change[0], change[1])
		not decision.allow
		decision.obligations == {}
	}
}

test_a_device_that_is_set_apart_keeps_what_it_had_proven if {
	decision := attestation.decision with input as samples.put(shown, "/subject/properties/status", "quarantined")
	samples.codes(decision) == {"subject_active"}
	decision.obligations == {}
}

test_a_device_that_is_set_apart_loses_it_where_its_evidence_contradicts if {
	apart := samples.put(measured(one), "/subject/properties/status", "quarantined")
	attestation.decision.obligations == {"withdraw_attestation": true} with input as apart
}
