package ztfm.lib.capability_test

import data.ztfm.lib.capability
import data.ztfm.lib.samples_test as samples

test_the_capability_of_this_submission_proves_everything if {
	capability.proven == {
		"capability_for_model",
		"capability_for_round",
		"capability_for_segment",
		"capability_fresh",
		"capability_norm_kept",
		"capability_unused",
		"capability_verified",
	} with input as samples.admitting
}

test_without_a_capability_nothing_is_proven if {
	capability.proven == set() with input as samples.granting
}

test_a_capability_lasts_to_the_last_second if {
	path := "/context/capability/age_seconds"
	"capability_fresh" in capability.proven with input as samples.put(samples.admitting, path, 300)
	not "capability_fresh" in capability.proven with input as samples.put(samples.admitting, path, 300.001)
}

test_a_capability_of_another_segment_is_for_nobody_here if {
	every segment in ["core", "", null, ["homes"]] {
		not "capability_for_segment" in capability.proven with input as samples.put(
			samples.admitting,
			"/context/capability/segment",
			segment,
		)
	}
}

test_a_norm_is_kept_up_to_the_last_bit if {
	path := "/context/evidence/norm"
	"capability_norm_kept" in capability.proven with input as samples.put(samples.admitting, path, 10)
	not "capability_norm_kept" in capability.proven with input as samples.put(samples.admitting, path, 10.000001)
}

test_a_norm_that_is_no_number_is_not_kept if {
	every path in ["/context/evidence/norm", "/context/capability/max_norm"] {
		every value in samples.not_numbers {
			not "capability_norm_kept" in capability.proven with input as samples.put(samples.admitting, path, value)
		}
	}
}

test_a_cause_refutes_what_was_verified if {
	every cause in ["expired", null, 0, false] {
		not "capability_verified" in capability.proven with input as samples.put(
			samples.admitting,
			"/context/capability/cause",
			cause,
		)
	}
}

test_an_age_limit_that_is_no_number_lets_no_age_pass if {
	every limit in {null, false, true, "300", [], {}} {
		mistyped := object.union(data.data.limits, {"capability_age_seconds": limit})
		not "capability_fresh" in capability.proven with input as samples.admitting with data.data.limits as mistyped
	}
}
