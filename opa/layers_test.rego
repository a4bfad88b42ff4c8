package combined_test

import data.combined

granted := {
	"allow": true,
	"obligations": {"max_bytes": 100, "watch": false},
	"reasons": [],
	"rules": {"role_granted"},
	"ttl_seconds": 60,
}

refused := {
	"allow": false,
	"obligations": {"watch": true},
	"reasons": [{"code": "role_granted", "message": "No role.", "remedy": "Get one."}],
	"rules": {"role_granted"},
	"ttl_seconds": 0,
}

reasons := {"window_open": {"message": "The window is closed.", "remedy": "Wait for it."}}

consenting := {"required": {"window_open"}, "proven": {"window_open"}}

objecting := {"required": {"window_open", "crew_present"}, "proven": {"crew_present"}}

# Combines a base's decision with what a site answers to the same question.
combine(base, answer) := combine_all(base, answer).q

combine_all(base, answer) := combined.narrow(
	{"revision": "b1", "decisions": {"q": base}},
	["site"],
	{"site": {
		"revision": "s1",
		"answers": {"q": answer},
		"reasons": {"window_open": {"message": "The window is closed.", "remedy": "Wait for it."}},
	}},
).decisions

codes(decision) := {reason.code | some reason in decision.reasons}

test_without_layers_the_base_answers_alone if {
	based := {"revision": "b1", "decisions": {"q": granted, "s": ["a", "b"]}}
	combined.batch == based with data.ztfm.batch as based
		with data.layers.expected as []
		with data.system.bundles.ztfm.manifest.revision as "b1"
}

test_the_base_decides_under_the_revision_of_its_bundle_whatever_it_calls_itself if {
	based := {"revision": "b0+site:s1", "decisions": {"q": granted}}
	active := {"ztfm": {"manifest": {"revision": "b1"}}}
	alone := combined.batch with data.ztfm.batch as based
		with data.layers.expected as []
		with data.system.bundles as active
	alone == {"revision": "b1", "decisions": {"q": granted}}
	narrowed := combined.batch with data.ztfm.batch as based
		with data.layers.expected as ["site"]
		with data.system.bundles as active
	narrowed.revision == "b1+site:none"
	not combined.batch with data.ztfm.batch as based with data.layers.expected as []
}

test_nothing_is_answered_without_saying_which_layers_are_expected if {
	based := {"revision": "b1", "decisions": {"q": granted}}
	not combined.batch with data.ztfm.batch as based with data.layers as {}
	every expected in [null, "", "site", true, 1, {}, {"site": true}, ["base"], ["site", null], [["site"]]] {
		not combined.batch with data.ztfm.batch as based with data.layers.expected as expected
		not combined.narrowed with input as object.union(based, {"expected": expected, "layers": {}})
	}
}

test_a_batch_is_narrowed_by_the_bundles_that_are_active if {
	narrowed := combined.batch with data.ztfm.batch as {
		"revision": "b1",
		"decisions": {"q": granted, "r": granted},
		"about": "more",
	}
		with data.layers.expected as ["tenant", "site"]
		with data.system.bundles as {
			"ztfm": {"manifest": {"revision": "b1"}},
			"tenant": {"manifest": {"revision": "t1"}},
			"site": {"manifest": {"revision": "s1"}},
		}
		with data.tenant.batch.answers as {"q": consenting, "r": consenting}
		with data.site.batch.answers as {"q": objecting, "r": consenting}
		with data.site.reasons as reasons
		with data.tenant.reasons as {}
	narrowed.revision == "b1+tenant:t1+site:s1"
	narrowed.about == "more"
	codes(narrowed.decisions.q) == {"site:window_open"}
	narrowed.decisions.q.reasons[0].message == "The window is closed."
	narrowed.decisions.r.allow
}

test_a_layer_without_an_active_bundle_denies if {
	narrowed := combined.batch with data.ztfm.batch as {"revision": "b1", "decisions": {"q": granted}}
		with data.layers.expected as ["site"]
		with data.site.batch.answers as {"q": consenting}
		with data.system.bundles as {"ztfm": {"manifest": {"revision": "b1"}}}
	narrowed.revision == "b1+site:none"
	not narrowed.decisions.q.allow
	codes(narrowed.decisions.q) == {"site:layer_unavailable"}
	narrowed.decisions.q.ttl_seconds == 0
}

test_without_a_revision_of_the_base_there_is_no_answer if {
	not combined.narrowed with input as {"decisions": {"q": granted}, "expected": [], "layers": {}}
	not combined.narrowed with input as {"revision": null, "decisions": {"q": granted}, "expected": [], "layers": {}}
}

test_consent_changes_nothing_but_what_was_asked if {
	combine(granted, consenting) == object.union(granted, {"rules": {"role_granted", "site:window_open"}})
	combine(refused, consenting) == refused
}

test_arrays_do_for_sets if {
	answer := {"required": ["window_open"], "proven": ["window_open"]}
	base := object.union(granted, {"rules": ["role_granted"]})
	combine(base, answer) == object.union(granted, {"rules": {"role_granted", "site:window_open"}})
}

test_an_objection_denies_with_the_layers_text if {
	combine(granted, objecting) == {
		"allow": false,
		"obligations": {"watch": false},
		"reasons": [{"code": "site:window_open", "message": "The window is closed.", "remedy": "Wait for it."}],
		"rules": {"role_granted", "site:window_open", "site:crew_present"},
		"ttl_seconds": 0,
	}
}

test_a_requirement_without_a_text_has_one_all_the_same if {
	every texts in [
		{},
		{"message": "M."},
		{"message": "", "remedy": "R."},
		{"message": 1, "remedy": "R."},
		{"message": sprintf("%0513d", [0]), "remedy": "R."},
		"M.",
		null,
	] {
		decision := combined.narrowed.decisions.q with input as {
			"revision": "b1",
			"decisions": {"q": granted},
			"expected": ["site"],
			"layers": {"site": {"revision": "s1", "answers": {"q": objecting}, "reasons": {"window_open": texts}}},
		}
		decision.reasons == [object.union({"code": "site:window_open"}, combined.unexplained)]
	}
}

test_what_the_base_denies_stays_denied_for_its_reasons if {
	decision := combine(refused, objecting)
	not decision.allow
	codes(decision) == {"role_granted", "site:window_open"}
	decision.obligations == {"watch": true}
	every answer in [
		{"required": set(), "proven": set()},
		{"required": set(), "proven": {"role_granted"}, "ttl_seconds": 300},
		{"required": set(), "proven": set(), "allow": true},
		null,
	] {
		still := combine(refused, answer)
		still.allow == false
		"role_granted" in codes(still)
		still.ttl_seconds == 0
	}
}

test_an_answer_that_is_not_whole_denies if {
	every change in [
		{"required": null}, {"required": "window_open"}, {"required": {"window_open": true}}, {"required": [1]},
		{"required": ["Window"]}, {"required": [""]}, {"required": [null]}, {"proven": null}, {"proven": "window_open"},
		{"proven": {"window_open": true}}, {"proven": true}, {"allow": true}, {"obligations": {}}, {"ttl_seconds": null},
		{"ttl_seconds": "60"}, {"ttl_seconds": 4.9}, {"ttl_seconds": -1}, {"ttl_seconds": [60]}, {"watch": null},
		{"watch": "true"}, {"watch": 1}, {"required": [sprintf("c%d", [n]) | some n in numbers.range(1, 17)]},
		{"quarantine": null}, {"quarantine": "true"}, {"quarantine": 1}, {"quarantine": ["dev-1"]},
		{"required": [concat("", ["a" | some _ in numbers.range(1, 58)])]},
	] {
		answer := object.union(object.remove(consenting, object.keys(change)), change)
		decision := combine(granted, answer)
		codes(decision) == {"site:layer_malformed"}
		not decision.allow
	}
	every name in ["required", "proven"] {
		codes(combine(granted, object.remove(consenting, {name}))) == {"site:layer_malformed"}
	}
}

test_what_is_no_object_is_no_answer if {
	every answer in [null, true, 1, "yes", [], {"window_open"}] {
		decision := combine(granted, answer)
		not decision.allow
		codes(decision) == {"site:layer_malformed"}
	}
	codes(combine(granted, false)) == {"site:layer_silent"}
}

test_silence_denies if {
	narrowed := combined.narrowed with input as {
		"revision": "b1",
		"decisions": {"q": granted},
		"expected": ["site"],
		"layers": {"site": {"revision": "s1", "answers": {"another": consenting}, "reasons": {}}},
	}
	codes(narrowed.decisions.q) == {"site:layer_silent"}
	not narrowed.decisions.q.allow
}

test_a_layer_that_says_nothing_usable_is_unavailable if {
	every state in [
		{}, {"revision": "s1"}, {"revision": "s1", "answers": null}, {"revision": "s1", "answers": [consenting]},
		{"revision": "", "answers": {"q": consenting}}, {"revision": null, "answers": {"q": consenting}},
	] {
		narrowed := combined.narrowed with input as {
			"revision": "b1",
			"decisions": {"q": granted},
			"expected": ["tenant"],
			"layers": {"tenant": state},
		}
		codes(narrowed.decisions.q) == {"tenant:layer_unavailable"}
		narrowed.revision == "b1+tenant:none"
	}
}

test_the_shortest_lifetime_holds if {
	combine(granted, object.union(consenting, {"ttl_seconds": 30})).ttl_seconds == 30
	combine(granted, object.union(consenting, {"ttl_seconds": 61})).ttl_seconds == 60
	combine(granted, object.union(consenting, {"ttl_seconds": 5})).ttl_seconds == 5
}

test_a_layer_may_have_the_subject_watched_and_cannot_have_it_not if {
	combine(granted, object.union(consenting, {"watch": true})).obligations == {"max_bytes": 100, "watch": true}
	watching := object.union(granted, {"obligations": {"watch": true}})
	combine(watching, object.union(consenting, {"watch": false})).obligations.watch == true
}

responded(obligations) := object.union(object.remove(granted, {"obligations"}), {"obligations": obligations})

states := ["trusted", "watched", "recovering", "quarantined"]

test_a_layer_may_set_a_subject_apart_and_never_lets_it_stand_better if {
	every state in states {
		base := responded({"state": state})
		combine(base, consenting).obligations == {"state": state}
		combine(base, object.union(consenting, {"quarantine": true})).obligations == {"state": "quarantined"}
		combine(base, object.union(consenting, {"quarantine": false, "watch": false})).obligations == {"state": state}
		combine(base, object.union(consenting, {"quarantine": true, "watch": true})).obligations.state == "quarantined"
	}
	watching := object.union(consenting, {"watch": true})
	combine(responded({"state": "trusted"}), watching).obligations == {"state": "watched"}
	every state in ["watched", "recovering", "quarantined"] {
		combine(responded({"state": state}), watching).obligations == {"state": state}
	}
}

test_quarantine_says_nothing_where_no_state_is_decided if {
	quarantining := object.union(consenting, {"quarantine": true})
	combine(granted, quarantining).obligations == granted.obligations
	combine(refused, quarantining).obligations == refused.obligations
}

test_no_objection_keeps_a_subject_from_being_set_apart if {
	apart := responded({"state": "quarantined", "rollback_rounds": 20, "max_bytes": 100})
	every answer in [objecting, null, "yes", {"required": null, "proven": null}] {
		decision := combine(apart, answer)
		not decision.allow
		decision.obligations == {"state": "quarantined", "rollback_rounds": 20}
	}
	every state in ["trusted", "watched", "recovering"] {
		decision := combine(responded({"state": state}), objecting)
		not decision.allow
		decision.obligations == {}
	}
}

test_no_objection_keeps_what_a_device_had_proven_from_being_withdrawn if {
	contradicted := object.union(refused, {"obligations": {"withdraw_attestation": true, "max_bytes": 100}})
	every answer in [consenting, objecting, null, "yes"] {
		decision := combine(contradicted, answer)
		not decision.allow
		decision.obligations.withdraw_attestation == true
	}
	accepted := object.union(granted, {"obligations": {"attested": {"level": "hardware"}}})
	not combine(accepted, objecting).obligations.attested
}

test_one_layer_sets_apart_what_another_objects_to if {
	decision := combined.narrowed.decisions.q with input as {
		"revision": "b1",
		"decisions": {"q": responded({"state": "watched"})},
		"expected": ["tenant", "site"],
		"layers": {
			"tenant": {"revision": "t1", "answers": {"q": objecting}, "reasons": {}},
			"site": {
				"revision": "s1",
				"answers": {"q": object.union(consenting, {"quarantine": true})},
				"reasons": {},
			},
		},
	}
	not decision.allow
	decision.obligations == {"state": "quarantined"}
}

test_a_state_that_is_none_is_not_mended if {
	quarantining := object.union(consenting, {"quarantine": true})
	every state in [null, "", "unheard-of", 1, true, []] {
		combine(responded({"state": state}), quarantining).obligations == {"state": state}
	}
}

test_no_bound_of_a_layer_mends_what_the_base_broke if {
	bounding := object.union(consenting, {"ttl_seconds": 30, "watch": true})
	every change in [{"ttl_seconds": "x"}, {"ttl_seconds": null}, {"rules": set()}, {"rules": "x"}, {"allow": "true"}] {
		broken := object.union(granted, change)
		object.get(combine_all(broken, bounding), "q", "left out") == "left out"
		every objection in [objecting, null] {
			decision := object.get(combine_all(broken, objection), "q", refused)
			decision.allow == false
		}
	}
	combine(object.union(granted, {"obligations": {"watch": "no"}}), bounding).obligations.watch == "no"
}

test_an_objection_to_what_the_base_broke_never_allows if {
	every change in [{"reasons": null}, {"obligations": null}, {"obligations": []}, {"rules": null}] {
		object.get(combine_all(object.union(granted, change), objecting), "q", refused).allow == false
	}
}

test_other_answers_stay_as_they_are if {
	listing := ["inference", "model_access"]
	terms := {"inference": {"names": {"a"}}}
	narrowed := combined.narrowed.decisions with input as {
		"revision": "b1",
		"decisions": {"l": listing, "t": terms, "n": null},
		"expected": ["site"],
		"layers": {},
	}
	narrowed == {"l": listing, "t": terms, "n": null}
}

test_every_layer_has_a_veto if {
	decision := combined.narrowed.decisions.q with input as {
		"revision": "b1",
		"decisions": {"q": granted},
		"expected": ["tenant", "site"],
		"layers": {
			"tenant": {"revision": "t1", "answers": {"q": objecting}, "reasons": {}},
			"site": {"revision": "s1", "answers": {"q": consenting}, "reasons": {}},
		},
	}
	codes(decision) == {"tenant:window_open"}
	not decision.allow
}

test_without_states_of_layers_no_decision_is_left if {
	every states in [null, [], "site", true] {
		narrowed := combined.narrowed with input as {
			"revision": "b1",
			"decisions": {"q": granted},
			"expected": ["site"],
			"layers": states,
		}
		narrowed.decisions == {}
	}
}
