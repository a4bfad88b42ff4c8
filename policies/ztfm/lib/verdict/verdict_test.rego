package ztfm.lib.verdict_test

import data.ztfm.lib.verdict

granted := {"obligations": {"watch": false}, "ttl_seconds": 60}

waiver := {"dev-1": {"bench": {
	"resource": "m",
	"action": "inference",
	"waives": {"network_allowed": true, "trust_sufficient": true},
	"approver": "operator@example.org",
	"reason": "Bench test.",
	"from": "2025-11-01T00:00:00Z",
	"until": "2025-12-01T00:00:00Z",
}}}

asked := {
	"subject": {"id": "dev-1"},
	"action": {"name": "inference"},
	"resource": {"id": "m"},
	"context": {"time": 1763000000},
}

test_nothing_missing_is_allowed if {
	verdict.of({"a", "b"}, set(), granted) == {
		"allow": true,
		"obligations": {"watch": false},
		"reasons": [],
		"rules": {"a", "b"},
		"ttl_seconds": 60,
	}
}

test_requiring_nothing_allows_nothing if {
	decision := verdict.of(set(), set(), granted)
	not decision.allow
}

test_what_is_missing_is_a_reason if {
	decision := verdict.of({"network_allowed", "trust_sufficient"}, {"trust_sufficient"}, granted) with input as asked
	not decision.allow
	decision.obligations == {}
	decision.ttl_seconds == 0
	[reason] := decision.reasons
	reason.code == "trust_sufficient"
	count(reason.message) > 0
	count(reason.remedy) > 0
}

test_a_requirement_without_a_text_is_a_reason_all_the_same if {
	decision := verdict.of({"new_rule"}, {"new_rule"}, granted)
	not decision.allow
	decision.reasons == [object.union({"code": "new_rule"}, verdict.unexplained)]
}

test_what_is_waived_is_allowed_and_named if {
	decision := verdict.of({"network_allowed", "role_granted"}, {"network_allowed"}, granted) with input as asked
		with data.data.exceptions as waiver
	decision.allow
	decision.obligations == {"exceptions": {"bench"}, "waived": {"network_allowed"}, "watch": false}
	decision.ttl_seconds == 60
}

test_an_exception_that_was_not_needed_is_not_named if {
	decision := verdict.of({"network_allowed", "role_granted"}, set(), granted) with input as asked
		with data.data.exceptions as waiver
	decision.allow
	decision.obligations == {"watch": false}
}

test_what_is_not_waived_is_the_only_reason if {
	decision := verdict.of(
		{"network_allowed", "role_granted"},
		{"network_allowed", "role_granted"},
		granted,
	) with input as asked
		with data.data.exceptions as waiver
	not decision.allow
	{reason.code | some reason in decision.reasons} == {"role_granted"}
}

denied := verdict.of({"network_allowed", "role_granted"}, {"network_allowed", "role_granted"}, granted)

test_a_claim_is_named_beside_the_requirement_that_it_is_about if {
	difference := {"claim": "debug", "seen": "true", "wanted": ["false"]}
	told := verdict.telling(denied, {"role_granted": {difference}, "unheard_of": {difference}})
	{reason.code: object.get(reason, "differences", []) | some reason in told.reasons} == {
		"network_allowed": [],
		"role_granted": [difference],
	}
	object.remove(told, {"reasons"}) == object.remove(denied, {"reasons"})
}

test_what_a_platform_had_to_prove_is_named if {
	difference := {"claim": "attestation.level", "seen": "none", "wanted": ["hardware"]}
	decision := verdict.of({"attestation_sufficient"}, {"attestation_sufficient"}, granted)
		with data.ztfm.lib.attestation.differences as {"attestation_sufficient": {difference}}
	[reason.differences | some reason in decision.reasons] == [[difference]]
}

test_waiving_everything_of_nothing_allows_nothing if {
	decision := verdict.of(set(), set(), granted) with input as asked with data.data.exceptions as waiver
	not decision.allow
}
