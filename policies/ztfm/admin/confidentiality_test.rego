package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

hiding := {
	"each": {"kind": "model"},
	"groups": {"confidentiality": "grouped"},
	"housed": {"confidentiality": "tee"},
	"unheard": {"confidentiality": "hidden"},
	"mistyped": {"confidentiality": null},
}

terms := {"group_maximum": 16, "group_minimum": 4, "group_size": 8, "groups_minimum": 2, "tee_level": "hardware"}

peopled(members) := samples.put(opening_of("groups"), "/resource/properties/members", members)

test_a_round_of_sums_has_members_for_more_than_one_group if {
	enough := {members |
		some members in [0, 3, 4, 8, 15, 16, 17, 10000]
		decision := admin.decision with input as peopled(members)
			with data.data.resources as hiding
			with data.data.confidentiality as terms
		decision.allow
	}
	enough == {16, 17, 10000}
	every members in samples.not_numbers {
		decision := admin.decision with input as peopled(members)
			with data.data.resources as hiding
			with data.data.confidentiality as terms
		samples.codes(decision) == {"members_many"}
	}
	unsaid := admin.decision with input as opening_of("groups") with data.data.resources as hiding
	samples.codes(unsaid) == {"members_many"}
	every lost in ["group_size", "groups_minimum"] {
		decision := admin.decision with input as peopled(16)
			with data.data.resources as hiding
			with data.data.confidentiality as object.remove(terms, [lost])
		"members_many" in samples.codes(decision)
	}
}

test_a_round_of_a_hidden_model_is_opened_for_groups if {
	decision := admin.decision with input as peopled(16) with data.data.resources as hiding
	decision.allow
	decision.obligations.confidentiality == "grouped"
	decision.obligations.group_size == data.data.confidentiality.group_size
}

test_a_round_whose_updates_are_seen_says_nothing_new if {
	decision := admin.decision with input as opening_of("each") with data.data.resources as hiding
	decision.allow
	{"confidentiality", "group_size"} & object.keys(decision.obligations) == set()
}

test_a_model_of_an_unknown_mode_gets_no_round if {
	every model in ["unheard", "mistyped"] {
		decision := admin.decision with input as opening_of(model) with data.data.resources as hiding
		samples.codes(decision) == {"confidentiality_known"}
	}
}

housed(result) := object.union(opening_of("housed"), {"context": object.union(
	opening_of("housed").context,
	{"results": {"snp": result}},
)})

test_an_aggregator_that_sees_updates_within_its_platform_shows_what_it_is if {
	sound := {"level": "hardware", "reference": "aggregators", "age_seconds": 10}
	listed := object.union(terms, {"tee_references": {"aggregators": true}})
	unproven := admin.decision with input as opening_of("housed") with data.data.resources as hiding
	samples.codes(unproven) == {"aggregator_attested"}
	unproven.reasons[0].differences[0].claim == "aggregator.results"
	decision := admin.decision with input as housed(sound)
		with data.data.resources as hiding
		with data.data.confidentiality as listed
		with data.data.attestation.references as {"aggregators": {}, "sensors": {}}
	decision.allow
	every part, value in {"level": "software", "reference": "sensors", "age_seconds": 901} {
		refused := admin.decision with input as housed(object.union(sound, {part: value}))
			with data.data.resources as hiding
			with data.data.confidentiality as listed
			with data.data.attestation.references as {"aggregators": {}, "sensors": {}}
		samples.codes(refused) == {"aggregator_attested"}
		[difference.claim | some difference in refused.reasons[0].differences] == [concat(".", ["aggregator.snp", part])]
	}
}

test_a_level_that_no_result_proves_opens_no_round if {
	shown := samples.put(opening_of("housed"), "/subject/properties/attestation", {"level": "hardware", "age_seconds": 1})
	decision := admin.decision with input as shown with data.data.resources as hiding
	samples.codes(decision) == {"aggregator_attested"}
}
