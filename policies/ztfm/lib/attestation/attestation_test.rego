package ztfm.lib.attestation_test

import data.ztfm.lib.attestation
import data.ztfm.lib.samples_test as samples

asked(model, proof) := json.patch(samples.serving, [
	{"op": "replace", "path": "/resource/id", "value": model},
	{"op": "replace", "path": "/subject/properties/attestation", "value": proof},
])

both := {"attestation_fresh", "attestation_sufficient"}

test_an_internal_model_takes_any_known_level if {
	every level in ["none", "software", "hardware"] {
		attestation.proven == both with input as asked("smart-home-intents", {"level": level})
	}
}

test_an_unknown_level_proves_nothing if {
	every level in ["", "tee", null, 2, true, ["hardware"], {}] {
		attestation.proven == set() with input as asked("smart-home-intents", {"level": level})
	}
}

test_a_restricted_model_takes_fresh_hardware_evidence_alone if {
	attestation.proven == both with input as asked("fall-detection", {"level": "hardware", "age_seconds": 900})
	every level in ["none", "software"] {
		attestation.proven == {"attestation_fresh"} with input as asked(
			"fall-detection",
			{"level": level, "age_seconds": 1},
		)
	}
}

test_where_a_level_is_needed_its_age_is_a_number_within_the_limit if {
	every age in samples.not_numbers | {-1, 900.5} {
		attestation.proven == {"attestation_sufficient"} with input as asked(
			"fall-detection",
			{"level": "hardware", "age_seconds": age},
		)
	}
	attestation.proven == {"attestation_sufficient"} with input as asked("fall-detection", {"level": "hardware"})
}

test_an_unknown_model_is_never_attested_for if {
	attestation.proven == set() with input as asked("unheard-of", {"level": "hardware", "age_seconds": 1})
}

test_a_denial_names_what_is_proven_and_what_had_to_be if {
	stale := asked("fall-detection", {"level": "software", "age_seconds": 1000})
	attestation.differences == {
		"attestation_fresh": {{"claim": "attestation.age_seconds", "seen": "1000", "wanted": ["at most 900"]}},
		"attestation_sufficient": {{"claim": "attestation.level", "seen": "software", "wanted": ["hardware"]}},
	} with input as stale
	unproven := attestation.differences with input as asked("fall-detection", {"level": "none"})
	{code: one.seen | some code, found in unproven; some one in found} == {
		"attestation_fresh": "",
		"attestation_sufficient": "none",
	}
}

test_what_holds_is_not_named if {
	sound := asked("fall-detection", {"level": "hardware", "age_seconds": 1})
	differences := attestation.differences with input as sound
	every _, some_differences in differences {
		count(some_differences) == 0
	}
}

test_a_limit_that_is_no_number_is_kept_by_nobody if {
	proof := {"level": "hardware", "age_seconds": 1}
	every value in [null, "900", {}, []] {
		aged := object.union(data.data.limits, {"attestation_age_seconds": value})
		attestation.proven == {"attestation_sufficient"} with input as asked("fall-detection", proof)
			with data.data.limits as aged
		ranked := object.union(data.data.limits, {"attestation_ranks": {"none": 0, "hardware": value}})
		attestation.proven - {"attestation_fresh"} == set() with input as asked("fall-detection", {"level": "none"})
			with data.data.limits as ranked
	}
}
