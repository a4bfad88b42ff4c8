package ztfm.lib.confidentiality_test

import data.ztfm.lib.confidentiality
import data.ztfm.lib.samples_test as samples

named := object.union(terms, {"tee_references": {"aggregators": true, "other": true, "taken-back": true}})

known := {"aggregators": {"kind": "snp"}, "other": {"kind": "tdx"}, "sensors": {"kind": "tpm"}, "taken-back": null}

sound := {"level": "hardware", "reference": "aggregators", "age_seconds": 30}

# One is weak, one old, one of another program.
mixed := {
	"nitro": object.union(sound, {"level": "software"}),
	"snp": object.union(sound, {"age_seconds": 901}),
	"tpm": object.union(sound, {"reference": "sensors"}),
}

shown(results) := samples.put(
	of("tee", "tee"),
	"/context/round/aggregator",
	{"level": "hardware", "age_seconds": 1, "results": results},
)

unfit contains {"snp": object.union(sound, {"level": level})} if some level in ["software", "none", "unheard", null]

unfit contains {"snp": object.union(sound, {"age_seconds": age})} if some age in (samples.not_numbers | {-1, 901})

unfit contains {"snp": object.union(sound, {"reference": name})} if {
	some name in ["sensors", "taken-back", "unheard", "", null, 1]
}

unfit contains {"snp": object.remove(sound, [part])} if some part, _ in sound

unfit contains results if some results in [{}, [], null, "snp", {"snp": null}, mixed]

test_an_aggregator_is_attested_strongly_lately_and_as_one_that_screens if {
	every results in [{"snp": sound}, object.union(mixed, {"tdx": object.union(sound, {"reference": "other"})})] {
		"aggregator_attested" in confidentiality.proven with input as shown(results)
			with data.data.resources as entries
			with data.data.confidentiality as named
			with data.data.attestation.references as known
	}
}

test_all_is_asked_of_one_and_the_same_result_that_counts if {
	count(unfit) > 20
	every results in unfit {
		not "aggregator_attested" in confidentiality.proven with input as shown(results)
			with data.data.resources as entries
			with data.data.confidentiality as named
			with data.data.attestation.references as known
	}
}

test_a_level_that_no_result_proves_is_nothing if {
	bare := samples.put(of("tee", "tee"), "/context/round/aggregator", {"level": "hardware", "age_seconds": 1})
	every asked in [of("tee", "tee"), bare] {
		not "aggregator_attested" in confidentiality.proven with input as asked
			with data.data.resources as entries
			with data.data.confidentiality as named
			with data.data.attestation.references as known
	}
}

test_where_nobody_is_named_nobody_screens if {
	every listed in [{}, null, {"aggregators": false}, {"aggregators": "true"}, {"unheard": true}] {
		confidentiality.screening == set() with data.data.confidentiality.tee_references as listed
			with data.data.attestation.references as known
	}
	confidentiality.screening == set() with data.data.confidentiality as terms
}

test_no_level_at_all_is_never_enough if {
	every level in ["none", "unheard", null] {
		confidentiality.strong == set() with data.data.confidentiality as {"tee_level": level}
	}
}

test_a_denial_says_what_was_seen_of_the_aggregator_and_what_is_wanted if {
	wanted := ["aggregators", "other"]
	foreign := {"claim": "aggregator.tpm.reference", "seen": "sensors", "wanted": wanted}
	every case in [
		[{}, {{"claim": "aggregator.results", "seen": "none", "wanted": wanted}}],
		[{"snp": sound}, set()],
		[{"snp": sound, "tpm": mixed.tpm}, {foreign}],
		[{"tpm": {"level": "software", "reference": "sensors", "age_seconds": 901.5}}, {
			{"claim": "aggregator.tpm.age_seconds", "seen": "901.5", "wanted": ["at most 900"]},
			{"claim": "aggregator.tpm.level", "seen": "software", "wanted": ["hardware"]},
			foreign,
		}],
		[null, set()],
		["snp", set()],
	] {
		confidentiality.unlike(case[0]) == case[1] with data.data.confidentiality as named
			with data.data.attestation.references as known
	}
}

test_updates_are_sealed_to_a_key_of_reference_values_in_force if {
	asked := {"level": "software", "age_seconds": 3600}
	every model in ["silent", "plain", "grouped"] {
		sealed := confidentiality.sealed(model, asked) with data.data.resources as entries
			with data.data.confidentiality as named
			with data.data.attestation.references as known
		sealed == object.union(asked, {"references": ["aggregators", "other", "sensors"]})
	}
}

test_where_an_aggregator_screens_the_key_is_of_one_that_may if {
	every age, least in {60: 60, 900: 900, 3600: 900} {
		every level in ["software", "hardware"] {
			sealed := confidentiality.sealed("tee", {"level": level, "age_seconds": age}) with data.data.resources as entries
				with data.data.confidentiality as named
				with data.data.attestation.references as known
			sealed == {"level": "hardware", "age_seconds": least, "references": ["aggregators", "other"]}
		}
	}
}
