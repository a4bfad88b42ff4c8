package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

person(group, action, kind) := json.patch(samples.administering("operator", action, kind), [{
	"op": "replace",
	"path": "/subject",
	"value": {
		"type": "person",
		"id": "person-0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
		"properties": {"issuer": "https://login.example.org", "claims": {"sub": ["248289761001"], "groups": [group]}},
	},
}])

test_people_do_what_their_roles_grant if {
	administrators := person("federation-administrators", "token:issue", "enrolment_token")
	admin.decision.allow with input as administrators
	operators := person("federation-operators", "decision:read", "decision")
	admin.decision.allow with input as operators
	authors := person("federation-authors", "policy:shadow", "policy")
	admin.decision.allow with input as authors
}

test_people_do_nothing_else if {
	issuing := person("federation-operators", "token:issue", "enrolment_token")
	samples.codes(admin.decision) == {"role_granted"} with input as issuing
	opening := person("federation-administrators", "round:create", "round")
	samples.codes(admin.decision) == {"role_granted"} with input as opening
	stranger := person("visitors", "decision:read", "decision")
	samples.codes(admin.decision) == {"role_granted", "subject_active", "subject_known"} with input as stranger
}

test_people_are_bound_to_the_networks_of_their_segment if {
	away := samples.put(
		person("federation-operators", "decision:read", "decision"),
		"/context/network/address",
		"192.168.1.20",
	)
	samples.codes(admin.decision) == {"network_allowed"} with input as away
}

test_people_get_no_certificate if {
	asked := samples.put(
		person("federation-administrators", "certificate:issue", "certificate"),
		"/resource/properties/owner",
		"person-0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
	)
	samples.codes(admin.decision) == {"key_known"} with input as asked
}

test_a_device_brings_no_claims if {
	claiming := samples.put(
		samples.administering("trainer", "token:issue", "enrolment_token"),
		"/subject/properties/issuer",
		"https://login.example.org",
	)
	forged := samples.put(claiming, "/subject/properties/claims", {"groups": ["federation-administrators"]})
	samples.codes(admin.decision) == {"role_granted"} with input as forged
}

test_a_person_brings_no_roles_of_their_own if {
	forged := samples.put(
		person("visitors", "token:issue", "enrolment_token"),
		"/subject/properties/roles",
		["administrator"],
	)
	"role_granted" in samples.codes(admin.decision) with input as forged
}
