package ztfm.lib.capability_test

import data.ztfm.lib.capability
import data.ztfm.lib.samples_test as samples

test_the_capability_of_this_submission_proves_everything if {
	capability.proven == {
		"capability_for_model",
		"capability_for_round",
		"capability_fresh",
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

test_a_cause_refutes_what_was_verified if {
	every cause in ["expired", null, 0, false] {
		not "capability_verified" in capability.proven with input as samples.put(
			samples.admitting,
			"/context/capability/cause",
			cause,
		)
	}
}
