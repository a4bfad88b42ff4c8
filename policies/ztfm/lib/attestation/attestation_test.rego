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
