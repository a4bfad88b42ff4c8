package ztfm.lib.rounds_test

import data.ztfm.lib.rounds
import data.ztfm.lib.samples_test as samples

test_a_member_of_an_open_round_proves_everything if {
	rounds.proven == {
		"round_for_model",
		"round_known",
		"round_member",
		"round_open",
		"submission_outstanding",
	} with input as samples.training
}

test_without_a_round_nothing_is_proven if {
	rounds.proven == set() with input as samples.serving
}

test_a_round_is_open_from_its_first_to_before_its_last_moment if {
	"round_open" in rounds.proven with input as samples.put(samples.training, "/context/time", samples.now - 20)
	not "round_open" in rounds.proven with input as samples.put(samples.training, "/context/time", samples.now - 20.5)
	not "round_open" in rounds.proven with input as samples.put(samples.training, "/context/time", samples.now + 100)
}

test_an_id_is_a_name if {
	every id in ["", null, 7, true, [], {}] {
		not "round_known" in rounds.proven with input as samples.put(samples.training, "/context/round/id", id)
	}
}
