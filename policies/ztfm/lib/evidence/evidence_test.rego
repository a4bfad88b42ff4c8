package ztfm.lib.evidence_test

import data.ztfm.lib.evidence
import data.ztfm.lib.samples_test as samples

test_sound_evidence_proves_everything if {
	evidence.proven == {
		"update_aligned",
		"update_bounded",
		"update_examples",
		"update_finite",
		"update_measured",
		"update_new",
		"update_shaped",
		"update_unique",
	} with input as samples.admitting
}

test_without_evidence_nothing_is_proven if {
	evidence.proven == set() with input as samples.granting
}

# At the bound, and just beyond it.
bounds := {
	"cosine": {"within": [-0.2, 1], "beyond": [-0.2001, 1.0001]},
	"duplicates": {"within": [0], "beyond": [1, -1]},
	"examples": {"within": [1, 100000], "beyond": [0, 100001]},
	"nonfinite": {"within": [0], "beyond": [1]},
	"norm": {"within": [0.000001, 1000000], "beyond": [0, -1, 1000001]},
	"norm_ratio": {"within": [0.0001, 3], "beyond": [0, -1, 3.0001]},
	"parameters": {"within": [1, 1000000000], "beyond": [0, 1000000001]},
	"replay_cosine": {"within": [-1, 0, 0.9989], "beyond": [0.999, 1, -1.0001, null, "", "0.5", true, []]},
	"seen_before": {"within": [false], "beyond": [true, null, 0, "", "false"]},
}

test_each_measure_is_bounded if {
	every measure, values in bounds {
		every value in values.within {
			count(evidence.proven) == 8 with input as samples.put(
				samples.admitting,
				sprintf("/context/evidence/%s", [measure]),
				value,
			)
		}
		every value in values.beyond {
			count(evidence.proven) == 7 with input as samples.put(
				samples.admitting,
				sprintf("/context/evidence/%s", [measure]),
				value,
			)
		}
	}
}

test_both_references_are_accepted_and_no_other if {
	path := "/context/evidence/reference"
	every reference in ["root", "centre"] {
		"update_measured" in evidence.proven with input as samples.put(samples.admitting, path, reference)
	}
	every reference in ["", "mean", null, 1, ["root"]] {
		not "update_measured" in evidence.proven with input as samples.put(samples.admitting, path, reference)
	}
}

test_with_no_earlier_round_to_compare_with_an_update_is_new if {
	"update_new" in evidence.proven with input as samples.without(samples.admitting, "/context/evidence/replay_cosine")
}

test_whether_an_update_was_seen_before_must_be_said if {
	unsaid := samples.without(samples.admitting, "/context/evidence/seen_before")
	not "update_new" in evidence.proven with input as unsaid
}
