package ztfm.lib.integrity_test

import data.ztfm.lib.integrity
import data.ztfm.lib.samples_test as samples

signed := {"model_signed"}

lab := by("example-lab")

models(word) := {"vouched-for": {
	"kind": "model",
	"integrity": word,
	"signers": {"example-lab": true},
}}

by(signer) := {"signer": signer, "registered_at": samples.now - 60}

asked(purpose, found) := json.patch(samples.serving, [
	{"op": "replace", "path": "/resource/id", "value": "vouched-for"},
	{"op": "replace", "path": "/context/purpose", "value": purpose},
	{"op": "add", "path": "/context/integrity", "value": found},
])

test_of_an_opened_model_nobody_signs_anything if {
	every purpose in ["serving", "training"] {
		integrity.proven == signed with input as asked(purpose, {}) with data.data.resources as models("opened")
	}
}

test_a_signed_model_is_served_from_a_registered_version_alone if {
	every expected in [
		["serving", {"release": lab}, signed],
		["serving", {"base": lab}, set()],
		["serving", {}, set()],
		["training", {}, signed],
	] {
		input_ := asked(expected[0], expected[1])
		integrity.proven == expected[2] with input as input_ with data.data.resources as models("signed")
	}
}

test_a_model_with_a_signed_base_is_trained_from_there_alone if {
	every expected in [
		["training", {"base": lab}, signed],
		["training", {"release": lab}, set()],
		["training", {}, set()],
		["serving", {"release": lab}, signed],
		["serving", {"base": lab}, set()],
	] {
		input_ := asked(expected[0], expected[1])
		integrity.proven == expected[2] with input as input_ with data.data.resources as models("signed_base")
	}
}

test_a_signer_that_may_sign_no_more_vouches_for_nothing if {
	every signer in ["stranger", "", null, true, 1, ["example-lab"]] {
		every purpose in ["serving", "training"] {
			input_ := asked(purpose, {"release": by(signer), "base": by(signer)})
			integrity.proven == set() with input as input_ with data.data.resources as models("signed_base")
		}
	}
}

test_a_word_that_nobody_knows_is_never_proven if {
	every word in ["", "none", "unsigned", null, true, 1, ["opened"], {"opened": true}] {
		every purpose in ["serving", "training"] {
			input_ := asked(purpose, {"release": lab, "base": lab})
			integrity.proven == set() with input as input_ with data.data.resources as models(word)
		}
	}
}

test_a_purpose_that_nobody_knows_proves_nothing_of_a_signed_model if {
	every purpose in ["", "testing", null, true] {
		input_ := asked(purpose, {"release": lab, "base": lab})
		integrity.proven == set() with input as input_ with data.data.resources as models("signed")
	}
}

test_a_version_counts_from_when_it_was_registered if {
	every moment in samples.not_numbers | {samples.now + 1, 1e308} {
		input_ := asked("serving", {"release": {"signer": "example-lab", "registered_at": moment}})
		integrity.proven == set() with input as input_ with data.data.resources as models("signed")
	}
	every found in [{"signer": "example-lab"}, "example-lab", null, []] {
		input_ := asked("serving", {"release": found})
		integrity.proven == set() with input as input_ with data.data.resources as models("signed")
	}
}
