package ztfm.attestation_test

import data.ztfm.attestation
import data.ztfm.lib.samples_test as samples

zero := "0000000000000000000000000000000000000000000000000000000000000000"

one := "0101010101010101010101010101010101010101010101010101010101010101"

# The shipped data with other reference values, each the shipped ones but for what is changed.
knowing(changes) := object.union(object.remove(data.data.attestation, {"references"}), {"references": {name: one |
	some name, change in changes
	one := object.union(object.remove(shipped, object.keys(change)), change)
}})

shipped := data.data.attestation.references["software-tpm"]

versioned := knowing({"gateways": {"versions": {"firmware0": 8217, "resets": 2}}})

of_homes := knowing({"gateways": {"segments": {"homes": true}, "roles": {"trainer": true, "consumer": true}}})

named := knowing({"gateways": {"platforms": {samples.platform_claims.platform: "the gateway of house 7"}}})

measured(value) := samples.put(shown, "/context/evidence/claims/measurements/pcr15", value)

worthy(worth) := object.union(data.data.attestation, {"anchors": {"tpm": {"swtpm": worth}}})

test_a_version_is_at_least_the_least if {
	enough := attestation.decision with input as shown with data.data.attestation as versioned
	enough.obligations.attested.reference == "gateways"
	every version in samples.not_numbers | {8216, -1} {
		older := samples.put(shown, "/context/evidence/claims/versions/firmware0", version)
		decision := attestation.decision with input as older with data.data.attestation as versioned
		samples.codes(decision) == {"versions_sufficient"}
	}
	every unsaid in [
		samples.without(shown, "/context/evidence/claims/versions/resets"),
		samples.put(shown, "/context/evidence/claims/versions", null),
	] {
		decision := attestation.decision with input as unsaid with data.data.attestation as versioned
		samples.codes(decision) == {"versions_sufficient"}
	}
}

test_reference_values_are_for_those_that_they_name if {
	attestation.decision.allow with input as shown with data.data.attestation as of_homes
	every change in [
		["/subject/properties/segment", "core"],
		["/subject/properties/segment", null],
		["/subject/properties/roles", ["operator"]],
		["/subject/properties/roles", []],
	] {
		other := samples.put(shown, change[0], change[1])
		decision := attestation.decision with input as other with data.data.attestation as of_homes
		"reference_known" in samples.codes(decision)
	}
}

test_platforms_are_those_that_are_named if {
	attestation.decision.allow with input as shown with data.data.attestation as named
	other := samples.put(shown, "/context/evidence/claims/platform", "00")
	decision := attestation.decision with input as other with data.data.attestation as named
	samples.codes(decision) == {"platform_allowed"}
	decision.obligations == {}
}

test_a_device_stays_with_its_platform_where_that_is_asked_for if {
	kept := knowing({"gateways": {"platform_kept": true}})
	every platform in ["first", "same"] {
		known := samples.put(shown, "/context/evidence/platform", platform)
		attestation.decision.allow with input as known with data.data.attestation as kept
	}
	every platform in ["other", null, true, "", ["same"]] {
		other := samples.put(shown, "/context/evidence/platform", platform)
		decision := attestation.decision with input as other with data.data.attestation as kept
		samples.codes(decision) == {"platform_kept"}
		decision.obligations == {}
		attestation.decision.allow with input as other
	}
}

test_one_reference_has_to_agree_in_all_parts if {
	both := knowing({
		"first": {"measurements": {"pcr15": {zero: "a"}}, "attributes": {"bank": {"sha384": true}}},
		"second": {"measurements": {"pcr15": {one: "b"}}},
	})
	not attestation.decision.allow with input as shown with data.data.attestation as both
	decision := attestation.decision with input as measured(one) with data.data.attestation as both
	decision.obligations.attested.reference == "second"
}

test_of_several_that_agree_it_is_the_first_by_name if {
	alike := knowing({"b": {}, "a": {}, "c": {}})
	decision := attestation.decision with input as shown with data.data.attestation as alike
	decision.obligations.attested.reference == "a"
}

test_a_denial_is_about_the_reference_that_is_nearest if {
	both := knowing({
		"a": {"measurements": {"pcr15": {one: "far"}}, "statuses": {"up_to_date": true}},
		"b": {"attributes": {"bank": {"sha384": true}}},
	})
	decision := attestation.decision with input as shown with data.data.attestation as both
	[[reason.code, reason.differences] | some reason in decision.reasons] == [[
		"attributes_match",
		[{"claim": "attributes.bank", "seen": "sha256", "wanted": ["sha384"]}],
	]]
}

test_what_is_not_asked_for_may_be_anything if {
	nothing := knowing({"any": {"measurements": {}, "unmeasured": true, "attributes": {}, "versions": {}}})
	bare := samples.put(shown, "/context/evidence/claims/measurements", {})
	attestation.decision.allow with input as bare with data.data.attestation as nothing
}

test_a_root_that_is_worth_nothing_proves_nothing if {
	every worth in ["none", "", null, 2, true, {"level": "hardware"}] {
		decision := attestation.decision with input as shown with data.data.attestation as worthy(worth)
		"anchor_known" in samples.codes(decision)
	}
	decision := attestation.decision with input as shown with data.data.attestation as worthy("hardware")
	decision.obligations.attested.level == "hardware"
	decision.obligations.lifetime_seconds == 3600
}
