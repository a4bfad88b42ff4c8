package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

me := "dev-0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

opening := samples.administering("aggregator", "round:create", "round")

reporting := samples.put(
	samples.administering("aggregator", "updates:report", "round"),
	"/resource/properties/owner",
	me,
)

evaluating := samples.administering("gateway", "evaluation:ask", "evaluation")

reading := samples.administering("operator", "decision:read", "decision")

reading_own := json.patch(samples.administering("trainer", "decision:read", "decision"), [
	{"op": "add", "path": "/resource/properties/owner", "value": me},
	{"op": "replace", "path": "/subject/properties/segment", "value": "homes"},
])

# What breaks each requirement of a service.
broken := {
	"network_allowed": [["/context/network/address", "192.168.1.20"]],
	"resource_kind": [["/resource/type", "model"]],
	"role_granted": [["/subject/properties/roles", ["consumer", "trainer"]]],
	"segment_allowed": [["/subject/properties/segment", "homes"]],
	"subject_active": [
		["/subject/properties/status", "quarantined"],
		["/subject/properties/status", "revoked"],
	],
	"subject_known": [["/subject/type", "service"]],
}

test_an_aggregator_opens_rounds if {
	decision := admin.decision with input as opening
	decision.allow
	decision.obligations == {"may_assert": []}
	decision.ttl_seconds == 30
}

test_how_updates_become_one_comes_with_a_round_of_a_known_model if {
	of_model := samples.put(opening, "/resource/properties/model", "m")
	every method in ["mean", "trimmed_mean", "geometric_median", "nnm"] {
		said := admin.decision with input as of_model with data.data.resources as {"m": {"aggregation": method}}
		said.obligations == {"aggregation": method, "may_assert": []}
	}
	unsaid := admin.decision with input as of_model with data.data.resources as {"m": {"kind": "model"}}
	unsaid.obligations.aggregation == "mean"
	unknown := admin.decision with input as of_model with data.data.resources as {"other": {"aggregation": "nnm"}}
	unknown.obligations == {"may_assert": []}
}

test_only_a_round_that_is_opened_has_a_way_to_become_one if {
	others := {reporting, evaluating, reading}
	every other in others {
		asked := samples.put(other, "/resource/properties/model", "smart-home-intents")
		decision := admin.decision with input as asked
		not "aggregation" in object.keys(decision.obligations)
	}
}

test_an_aggregators_word_is_taken_for_its_updates if {
	decision := admin.decision with input as reporting
	decision.allow
	{path | some path in decision.obligations.may_assert} == {"context.evidence", "context.verification"}
}

test_a_gateways_word_is_taken_for_what_it_sees if {
	decision := admin.decision with input as evaluating
	decision.allow
	{path | some path in decision.obligations.may_assert} == {
		"claims.action",
		"claims.context",
		"claims.resource",
		"claims.subject",
		"context.inference",
		"context.network",
		"context.purpose",
		"context.round_id",
		"context.verification",
		"resource.properties.digest",
	}
}

test_an_operator_reads_any_decision if {
	decision := admin.decision with input as reading
	decision.allow
	others := admin.decision with input as samples.put(reading, "/resource/properties/owner", "dev-other")
	others.allow
}

test_each_requirement_is_missed if {
	every service in [opening, reporting, evaluating, reading] {
		every code, breaks in broken {
			every change in breaks {
				decision := admin.decision with input as samples.put(service, change[0], change[1])
				not decision.allow
				code in samples.codes(decision)
				decision.obligations == {}
			}
		}
	}
}

test_every_requirement_of_a_service_is_tested if {
	admin.service == object.keys(broken)
}

test_updates_are_reported_by_who_opened_the_round if {
	stolen := samples.put(reporting, "/resource/properties/owner", "dev-other")
	samples.codes(admin.decision) == {"owner"} with input as stolen
	unknown := samples.without(reporting, "/resource/properties/owner")
	samples.codes(admin.decision) == {"owner"} with input as unknown
}

test_a_role_opens_its_own_doors_alone if {
	every service in [opening, reporting, evaluating, reading] {
		roles := {"aggregator", "consumer", "gateway", "operator", "trainer"} - {service.subject.properties.roles[0]}
		every role in roles {
			decision := admin.decision with input as samples.put(service, "/subject/properties/roles", [role])
			not decision.allow
		}
	}
}

test_a_subject_reads_decisions_about_itself if {
	decision := admin.decision with input as reading_own
	decision.allow
	decision.rules == {"resource_kind", "subject_known", "subject_unrevoked"}
}

test_a_quarantined_subject_still_learns_why if {
	decision := admin.decision with input as samples.put(
		reading_own,
		"/subject/properties/status",
		"quarantined",
	)
	decision.allow
}

test_a_revoked_subject_learns_nothing if {
	decision := admin.decision with input as samples.put(reading_own, "/subject/properties/status", "revoked")
	samples.codes(decision) == {"subject_unrevoked"}
}

test_a_subject_does_not_read_decisions_about_others if {
	decision := admin.decision with input as samples.put(
		reading_own,
		"/resource/properties/owner",
		"dev-other",
	)
	samples.codes(decision) == {"network_allowed", "role_granted", "segment_allowed"}
}

test_an_action_that_nobody_knows_is_denied if {
	decision := admin.decision with input as samples.put(opening, "/action/name", "policy:edit")
	samples.codes(decision) == {"action_known"}
	empty := admin.decision with input as {}
	samples.codes(empty) == {"action_known"}
}

test_a_search_believes_what_an_evaluation_believes if {
	searching := samples.administering("gateway", "access:search", "search")
	found := admin.decision with input as searching
	asked := admin.decision with input as evaluating
	found.allow
	found.obligations == asked.obligations
}
