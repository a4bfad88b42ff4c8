package ztfm.candidates_test

import data.ztfm.candidates

query(kind, type) := {
	"kind": kind,
	"subject_type": "user",
	"resource_type": type,
	"after": "",
	"limit": 10,
}

extra := {"door": {
	"subjects": {"user": {"bob", "alice", 7}, "robot": {"r2"}},
	"resources": {"front", "back", null},
	"actions": ["open", "close", {"name": "burn"}],
}}

models := {
	"a": {"kind": "model"},
	"b": {"kind": "model"},
	"c": {"kind": "lamp"},
}

test_models_are_those_of_the_data if {
	candidates.listing == ["a", "b"] with input as query("resource", "model") with data.data.resources as models
}

test_the_models_that_are_shipped_are_candidates if {
	listed := candidates.listing with input as query("resource", "model")
	"smart-home-intents" in listed
}

test_a_models_actions_are_the_products if {
	listed := candidates.listing with input as query("action", "model")
	listed == ["gradient_submission", "inference", "model_access"]
}

test_an_authors_package_adds_what_it_knows if {
	candidates.listing == ["alice", "bob"] with input as query("subject", "door") with data.ztfm.extra as extra
	candidates.listing == ["back", "front"] with input as query("resource", "door") with data.ztfm.extra as extra
	candidates.listing == ["close", "open"] with input as query("action", "door") with data.ztfm.extra as extra
}

test_subjects_are_those_of_the_type_that_is_looked_for if {
	robots := object.union(query("subject", "door"), {"subject_type": "robot"})
	candidates.listing == ["r2"] with input as robots with data.ztfm.extra as extra
	others := object.union(query("subject", "door"), {"subject_type": "spaceship"})
	candidates.listing == [] with input as others with data.ztfm.extra as extra
}

test_what_nobody_knows_has_no_candidates if {
	every kind in {"subject", "resource", "action", "secret"} {
		candidates.listing == [] with input as query(kind, "spaceship") with data.ztfm.extra as extra
	}
}

test_pages_follow_each_other_without_gaps if {
	first := object.union(query("resource", "model"), {"limit": 1})
	candidates.listing == ["a"] with input as first with data.data.resources as models
	second := object.union(first, {"after": "a"})
	candidates.listing == ["b"] with input as second with data.data.resources as models
	third := object.union(first, {"after": "b"})
	candidates.listing == [] with input as third with data.data.resources as models
}

test_a_query_without_a_bound_has_no_answer if {
	unbounded := object.remove(query("resource", "model"), {"limit"})
	not candidates.listing with input as unbounded
	not candidates.listing with input as {}
}
