package ztfm.lib.people_test

import data.ztfm.lib.people
import data.ztfm.lib.samples_test as samples

# A provider that maps two claims, one of them in two ways.
vouching := {"https://id.example.net": {
	"description": "For tests.",
	"segment": "core",
	"claims": {
		"groups": {"ops": {"operator": true}, "both": {"operator": true, "administrator": true}},
		"sub": {"alice": {"administrator": true}},
	},
}}

asking := {
	"subject": {
		"type": "person",
		"id": "person-1",
		"properties": {"issuer": "https://id.example.net", "claims": {"sub": ["bob"], "groups": ["staff", "ops"]}},
	},
	"context": {"network": {"address": "10.10.3.4"}},
}

test_a_claims_value_brings_its_roles if {
	people.roles == {"operator"} with input as asking with data.data.people as vouching
	both := samples.put(asking, "/subject/properties/claims/groups", ["both"])
	people.roles == {"operator", "administrator"} with input as both with data.data.people as vouching
	alice := samples.put(asking, "/subject/properties/claims/sub", ["alice"])
	people.roles == {"operator", "administrator"} with input as alice with data.data.people as vouching
}

test_a_value_under_another_claim_brings_nothing if {
	swapped := samples.put(asking, "/subject/properties/claims", {"sub": ["ops"], "email": ["ops"]})
	people.roles == set() with input as swapped with data.data.people as vouching
}

test_a_role_that_is_not_true_is_none if {
	every untrue in [false, null, "true", 1, {}] {
		wrong := json.patch(vouching, [{
			"op": "replace",
			"path": "/https:~1~1id.example.net/claims/groups/ops/operator",
			"value": untrue,
		}])
		people.roles == set() with input as asking with data.data.people as wrong
	}
}

test_a_person_of_another_provider_has_no_roles if {
	every issuer in ["https://id.example.net/", "https://evil.example", "", null, ["https://id.example.net"], {}] {
		other := samples.put(asking, "/subject/properties/issuer", issuer)
		people.roles == set() with input as other with data.data.people as vouching
		people.proven == set() with input as other with data.data.people as vouching
	}
}

test_claims_of_another_form_bring_nothing if {
	every claims in [null, "ops", ["ops"], {"groups": "ops"}, {"groups": [["ops"]]}, {"groups": null}] {
		mistyped := samples.put(asking, "/subject/properties/claims", claims)
		people.roles == set() with input as mistyped with data.data.people as vouching
	}
}

test_only_people_have_claims if {
	every kind in ["device", "Person", "", null, ["person"]] {
		other := samples.put(asking, "/subject/type", kind)
		people.roles == set() with input as other with data.data.people as vouching
		people.proven == set() with input as other with data.data.people as vouching
	}
}

test_a_person_with_a_role_is_known_and_active if {
	people.proven == {
		"network_allowed",
		"subject_active",
		"subject_known",
		"subject_unrevoked",
	} with input as asking with data.data.people as vouching
}

test_a_person_without_a_role_is_unknown if {
	stranger := samples.put(asking, "/subject/properties/claims/groups", ["staff"])
	people.proven == {"network_allowed"} with input as stranger with data.data.people as vouching
}

test_people_administer_from_their_segments_networks if {
	people.segment == "core" with input as asking with data.data.people as vouching
	outside := samples.put(asking, "/context/network/address", "192.168.1.20")
	not "network_allowed" in people.proven with input as outside with data.data.people as vouching
}
