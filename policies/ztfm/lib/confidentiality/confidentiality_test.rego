package ztfm.lib.confidentiality_test

import data.ztfm.lib.confidentiality
import data.ztfm.lib.samples_test as samples

terms := {"group_maximum": 16, "group_minimum": 4, "group_size": 8, "groups_minimum": 2, "tee_level": "hardware"}

entries := {
	"silent": {"kind": "model"},
	"plain": {"confidentiality": "plain"},
	"grouped": {"confidentiality": "grouped"},
	"tee": {"confidentiality": "tee"},
	"unheard": {"confidentiality": "hidden"},
	"mistyped": {"confidentiality": null},
}

of(model, round_mode) := json.patch(samples.admitting, [
	{"op": "replace", "path": "/resource/id", "value": model},
	{"op": "add", "path": "/context/round/confidentiality", "value": round_mode},
])

test_a_model_says_its_mode_and_is_plain_where_it_says_nothing if {
	every model, mode in {"silent": "plain", "plain": "plain", "grouped": "grouped", "tee": "tee"} {
		confidentiality.mode_of(model) == mode with data.data.resources as entries
	}
}

test_a_word_or_a_model_that_nobody_knows_is_no_mode if {
	every model in ["unheard", "mistyped", "absent"] {
		not confidentiality.mode_of(model) with data.data.resources as entries
		confidentiality.opened(model) == {} with data.data.resources as entries
		every mode in ["plain", "grouped", "tee", "hidden", null] {
			confidentiality.proven == set() with input as of(model, mode)
				with data.data.resources as entries
				with data.data.confidentiality as terms
		}
	}
}

test_a_round_is_opened_with_its_models_mode if {
	every model, said in {
		"silent": {},
		"plain": {},
		"grouped": {"confidentiality": "grouped", "group_size": 8},
		"tee": {"confidentiality": "tee"},
	} {
		confidentiality.opened(model) == said with data.data.resources as entries
			with data.data.confidentiality as terms
	}
}

test_a_capability_says_what_is_not_plain if {
	every model, said in {"silent": {}, "grouped": {"confidentiality": "grouped"}, "tee": {"confidentiality": "tee"}} {
		confidentiality.submitted(model) == said with data.data.resources as entries
	}
}

test_a_round_stays_as_it_was_opened if {
	words := ["plain", "grouped", "tee", null, true, ""]
	every model in ["plain", "grouped", "tee"] {
		kept := {mode |
			some mode in words
			"confidentiality_kept" in confidentiality.proven with input as of(model, mode)
				with data.data.resources as entries
				with data.data.confidentiality as terms
		}
		kept == {model}
	}
}

test_each_update_is_measured_by_itself_unless_groups_are_agreed_on if {
	group := {"name": "group-1", "size": 8}
	every model in ["plain", "tee"] {
		"evidence_expected" in confidentiality.proven with input as of(model, model)
			with data.data.resources as entries
			with data.data.confidentiality as terms
		changed := samples.put(of(model, model), "/context/group", group)
		not "evidence_expected" in confidentiality.proven with input as changed
			with data.data.resources as entries
			with data.data.confidentiality as terms
	}
	not "evidence_expected" in confidentiality.proven with input as of("grouped", "grouped")
		with data.data.resources as entries
		with data.data.confidentiality as terms
	changed := samples.put(of("grouped", "grouped"), "/context/group", group)
	"evidence_expected" in confidentiality.proven with input as changed
		with data.data.resources as entries
		with data.data.confidentiality as terms
}

test_a_group_is_neither_too_small_nor_too_large if {
	right := {size |
		some size in [0, 1, 2, 3, 4, 5, 15, 16, 17, 1000]
		sized := samples.put(of("grouped", "grouped"), "/context/group", {"name": "group-1", "size": size})
		"evidence_expected" in confidentiality.proven with input as sized
			with data.data.resources as entries
			with data.data.confidentiality as terms
	}
	right == {4, 5, 15, 16}
	every size in samples.not_numbers {
		sized := samples.put(of("grouped", "grouped"), "/context/group", {"name": "group-1", "size": size})
		not "evidence_expected" in confidentiality.proven with input as sized
			with data.data.resources as entries
			with data.data.confidentiality as terms
	}
}

test_a_group_is_of_enrolled_devices_alone if {
	alone := {strangers |
		some strangers in [0, 1, 7, null, "0", false, []]
		shown := samples.put(of("grouped", "grouped"), "/context/round/strangers", strangers)
		"group_enrolled" in confidentiality.proven with input as shown with data.data.resources as entries
	}
	alone == {0}
	not "group_enrolled" in confidentiality.proven with input as of("grouped", "grouped")
		with data.data.resources as entries
	confidentiality.accompanied("grouped") == {"group_enrolled"} with data.data.resources as entries
	every model in ["silent", "plain", "tee", "unheard", "absent"] {
		confidentiality.accompanied(model) == set() with data.data.resources as entries
	}
}

test_a_round_of_sums_alone_needs_many_members if {
	confidentiality.peopled("grouped") == {"members_many"} with data.data.resources as entries
	every model in ["silent", "plain", "tee", "unheard", "absent"] {
		confidentiality.peopled(model) == set() with data.data.resources as entries
	}
}

test_many_are_as_many_as_the_groups_that_there_have_to_be if {
	right := {members |
		some members in [0, 8, 15, 16, 17]
		confidentiality.is_many(members) with data.data.confidentiality as terms
	}
	right == {16, 17}
	every members in samples.not_numbers {
		not confidentiality.is_many(members) with data.data.confidentiality as terms
	}
}

test_the_aggregator_of_an_attested_model_alone_has_to_be if {
	every model in ["silent", "plain", "grouped", "unheard", "absent"] {
		confidentiality.housed(model) == set() with data.data.resources as entries
	}
	confidentiality.housed("tee") == {"aggregator_attested"} with data.data.resources as entries
}
