package ztfm.key_release_test

import data.ztfm.key_release
import data.ztfm.lib.samples_test as samples

asked := samples.releasing

recordings := json.patch(samples.without(asked, "/context/capability"), [
	{"op": "replace", "path": "/resource/id", "value": "voices-2026"},
	{"op": "replace", "path": "/context/results/tpm/level", "value": "hardware"},
	{"op": "replace", "path": "/context/results/tpm/reference", "value": "example-gateway"},
])

# What breaks each requirement, and it alone.
broken := {
	"attestation_fresh": [
		["/context/results/tpm/age_seconds", 901],
		["/context/results/tpm/age_seconds", -1],
	],
	"attestation_sufficient": [
		["/context/results", {}],
		["/context/results", null],
		["/context/results/tpm/level", "none"],
		["/context/results/tpm/level", "tee"],
		["/context/results/tpm", {}],
	],
	"network_allowed": [
		["/context/network/address", "8.8.8.8"],
		["/context/network", {}],
	],
	"pull_capability_for_model": [
		["/context/capability/model", "fall-detection"],
		["/context/capability/model", ""],
		["/context/capability/purpose", "serving"],
		["/context/capability/purpose", ""],
	],
	"pull_capability_for_shard": [
		["/context/capability/whole", false],
		["/context/capability/whole", "true"],
		["/context/capability/whole", null],
	],
	"pull_capability_fresh": [
		["/context/capability/age_seconds", 301],
		["/context/capability/age_seconds", -1],
	],
	"pull_capability_holds": [
		["/context/capability/verified", false],
		["/context/capability/verified", "true"],
		["/context/capability/cause", "expired"],
		["/context/capability", {}],
	],
	"reference_accepted": [
		["/context/results/tpm/reference", ""],
		["/context/results/tpm/reference", "example-gateway"],
		["/context/results/tpm/reference", null],
	],
	"release_key_bound": [
		["/context/results/tpm/suite", null],
		["/context/results/tpm/suite", "p256"],
	],
	"role_granted": [
		["/subject/properties/roles", ["consumer"]],
		["/subject/properties/roles", []],
	],
	"secret_for_purpose": [
		["/context/purpose", "resale"],
		["/context/purpose", null],
	],
	"secret_for_segment": [
		["/subject/properties/segment", "guests"],
		["/subject/properties/segment", null],
	],
	"secret_known": [
		["/context/registered", false],
		["/context/registered", "true"],
		["/resource/type", "model"],
	],
	"subject_active": [
		["/subject/properties/status", "quarantined"],
		["/subject/properties/status", "revoked"],
	],
	"subject_known": [
		["/subject/type", "user"],
		["/subject/properties/key_thumbprint", null],
	],
	"trust_sufficient": [
		["/subject/properties/trust/score", 0.249],
		["/subject/properties/trust/score", 1.01],
	],
}

test_an_attested_device_with_a_capability_gets_the_key_of_what_it_pulls if {
	decision := key_release.decision with input as asked
	decision.allow
	decision.reasons == []
	decision.obligations == {"release_to": "tpm"}
	decision.ttl_seconds == 300
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := key_release.decision with input as samples.put(asked, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.obligations == {}
			decision.ttl_seconds == 0
		}
	}
}

test_every_requirement_is_tested if {
	required := key_release.required with input as asked
	required == object.keys(broken)
}

test_a_number_is_a_number if {
	every path in [
		"/subject/properties/trust/score",
		"/context/results/tpm/age_seconds",
		"/context/capability/age_seconds",
	] {
		every value in samples.not_numbers {
			decision := key_release.decision with input as samples.put(asked, path, value)
			not decision.allow
		}
	}
}

test_without_any_of_its_facts_nothing_is_released if {
	every path in [
		"/subject/properties/status",
		"/subject/properties/roles",
		"/subject/properties/segment",
		"/subject/properties/trust",
		"/context/purpose",
		"/context/registered",
		"/context/results",
		"/context/results/tpm/suite",
		"/context/results/tpm/reference",
		"/context/results/tpm/level",
		"/context/results/tpm/age_seconds",
		"/context/capability",
		"/context/capability/verified",
		"/context/capability/whole",
		"/context/capability/age_seconds",
		"/resource/id",
	] {
		decision := key_release.decision with input as samples.without(asked, path)
		not decision.allow
	}
}

test_a_capability_that_names_parts_opens_these_alone if {
	part := samples.put(asked, "/context/capability/whole", false)
	every case in [[["weights"], true], [["adapter", "weights"], true], [["adapter"], false], [[], false], [null, false]] {
		decision := key_release.decision with input as samples.put(part, "/context/capability/shards", case[0])
		decision.allow == case[1]
	}
}

test_a_key_of_data_needs_no_capability if {
	decision := key_release.decision with input as recordings
	decision.allow
	decision.ttl_seconds == 60
	not "pull_capability_holds" in decision.rules
}

test_what_is_weaker_older_or_other_than_a_secret_asks_for_does_not_do if {
	every path, value in {
		"/context/results/tpm/level": "software",
		"/context/results/tpm/age_seconds": 301,
		"/context/results/tpm/reference": "another-gateway",
		"/context/results/tpm/suite": "x25519",
		"/subject/properties/trust/score": 0.69,
		"/context/purpose": "serving",
	} {
		decision := key_release.decision with input as samples.put(recordings, path, value)
		not decision.allow
	}
}

test_all_is_asked_of_one_and_the_same_evidence if {
	# One is strong and old, one fresh and weak, one strong and fresh of other reference values, one without a key.
	results := {
		"nitro": {"level": "software", "reference": "example-gateway", "age_seconds": 1, "suite": "mlkem768-x25519"},
		"sgx": {"level": "hardware", "reference": "other", "age_seconds": 1, "suite": "mlkem768-x25519"},
		"snp": {"level": "hardware", "reference": "example-gateway", "age_seconds": 1},
		"tpm": {"level": "hardware", "reference": "example-gateway", "age_seconds": 500, "suite": "mlkem768-x25519"},
	}
	decision := key_release.decision with input as samples.put(recordings, "/context/results", results)
	samples.codes(decision) == {"release_key_bound"}
	whole := object.union(results, {"tdx": object.union(results.tpm, {"age_seconds": 1})})
	sound := key_release.decision with input as samples.put(recordings, "/context/results", whole)
	sound.obligations == {"release_to": "tdx"}
}

test_of_several_that_do_the_key_that_was_attested_last_gets_it if {
	every ages, kind in {[9, 3, 5]: "snp", [3, 9, 5]: "nitro", [5, 5, 5]: "nitro", [9, 5, 3]: "tpm"} {
		results := {name: object.union(asked.context.results.tpm, {"age_seconds": ages[at]}) |
			some at, name in ["nitro", "snp", "tpm"]
		}
		decision := key_release.decision with input as samples.put(asked, "/context/results", results)
		decision.obligations == {"release_to": kind}
	}
}

test_an_exception_never_stands_for_evidence if {
	waiver := {"exc-1": {
		"subject": asked.subject.id,
		"resource": asked.resource.id,
		"action": "key_release",
		"waives": {"attestation_fresh": true, "attestation_sufficient": true},
		"reason": "A test.",
		"approver": "operator@example.org",
		"starts_at": samples.now - 60,
		"ends_at": samples.now + 60,
	}}
	excepted := samples.put(samples.put(asked, "/context/results", {}), "/context/exceptions", waiver)
	decision := key_release.decision with input as excepted
	samples.codes(decision) == {"reference_accepted", "release_key_bound"}
}

test_reference_values_that_were_taken_back_release_nothing if {
	decision := key_release.decision with input as asked with data.data.attestation.references as {}
	samples.codes(decision) == {"reference_accepted", "release_key_bound"}
}

test_a_secret_of_a_shard_is_called_by_its_model_and_shard_and_no_other_is if {
	weights := data.data.secrets["smart-home-intents/weights"]
	every name, entry in {
		"smart-home-intents/head": weights,
		"weights": weights,
		"smart-home-intents/weights": object.remove(weights, ["shard"]),
		"smart-home-intents/other": object.remove(weights, ["shard"]),
	} {
		decision := key_release.decision with input as samples.put(asked, "/resource/id", name)
			with data.data.secrets as {name: entry}
		samples.codes(decision) == {"secret_known"}
	}
}

test_a_key_of_data_may_have_any_other_name if {
	every name in ["voices/2026", "voices", "smart-home-intents", "a/b/c"] {
		decision := key_release.decision with input as samples.put(recordings, "/resource/id", name)
			with data.data.secrets as {name: data.data.secrets["voices-2026"]}
		decision.allow
	}
}

test_without_data_nothing_is_released if {
	decision := key_release.decision with input as asked with data.data.secrets as {}
	not decision.allow
	"secret_known" in samples.codes(decision)
}

test_an_empty_input_is_denied if {
	decision := key_release.decision with input as {}
	not decision.allow
	samples.codes(decision) == key_release.required
}

test_what_a_secret_asks_for_is_a_number_or_nobody_has_it if {
	every case in [
		["/attestation/age_seconds", "attestation_fresh"],
		["/trust_minimum", "trust_sufficient"],
		["/ttl_seconds", "secret_known"],
	] {
		every value in [null, "900", {}, []] {
			other := json.patch(data.data.secrets[asked.resource.id], [{"op": "replace", "path": case[0], "value": value}])
			decision := key_release.decision with input as asked with data.data.secrets as {asked.resource.id: other}
			not decision.allow
			case[1] in samples.codes(decision)
		}
	}
}
