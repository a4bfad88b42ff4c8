package ztfm.gradient_submission_test

import data.ztfm.gradient_submission
import data.ztfm.lib.samples_test as samples

# What breaks each requirement that both phases have.
broken := {
	"action_not_held": [
		["/context/holds/current", {"hold-1": samples.hold("homes", "gradient_submission")}],
		["/context/holds/current", {"hold-1": samples.hold("*", "gradient_submission")}],
		["/context/holds/current", {"hold-1": {}}],
		["/context/holds", {}],
	],
	"attestation_fresh": [["/subject/properties/attestation", {}]],
	"attestation_sufficient": [["/subject/properties/attestation/level", "unheard-of"]],
	"confidentiality_kept": [
		["/context/round/confidentiality", "grouped"],
		["/context/round/confidentiality", "tee"],
		["/context/round/confidentiality", null],
		["/context/round/confidentiality", "hidden"],
	],
	"holds_known": [
		["/context/holds/known", false],
		["/context/holds", null],
	],
	"resource_known": [["/resource/id", "unheard-of"]],
	"role_granted": [["/subject/properties/roles", ["consumer"]]],
	"round_for_model": [["/context/round/model", "fall-detection"]],
	"round_known": [["/context/round/id", null]],
	"round_member": [["/context/round/member", false]],
	"round_open": [
		["/context/round/state", "closed"],
		["/context/time", samples.now + 1000],
	],
	"segment_allowed": [["/subject/properties/segment", "guests"]],
	"subject_active": [["/subject/properties/status", "quarantined"]],
	"subject_known": [["/subject/properties", {}]],
	"submission_outstanding": [["/context/round/submissions", 1]],
	"trust_sufficient": [["/subject/properties/trust/score", 0.2]],
}

broken_grant := {
	"network_allowed": [["/context/network/address", "203.0.113.9"]],
	"requests_within_budget": [
		["/context/usage/requests", 100000],
		["/context/usage/requests", -1],
		["/context/usage/window_seconds", 59],
	],
}

broken_admission := {
	"behaviour_admitted": [
		["/context/behaviour/state", "recovering"],
		["/context/behaviour/state", "quarantined"],
		["/context/behaviour/e_value", 50],
		["/context/behaviour", {}],
	],
	"capability_for_model": [["/context/capability/model", "fall-detection"]],
	"capability_for_round": [["/context/capability/round", "round-6"]],
	"capability_for_segment": [["/context/capability/segment", "core"]],
	"capability_norm_kept": [["/context/capability/max_norm", 1.6]],
	"capability_fresh": [
		["/context/capability/age_seconds", 301],
		["/context/capability/age_seconds", -1],
	],
	"capability_unused": [["/context/capability/uses", 1]],
	"capability_verified": [
		["/context/capability/verified", false],
		["/context/capability/cause", "replayed"],
		["/context/capability", {}],
	],
	"evidence_expected": [
		["/context/group", {"name": "group-1", "size": 8}],
		["/context/group", null],
	],
	"update_aligned": [
		["/context/evidence/cosine", -0.21],
		["/context/evidence/cosine", 1.01],
	],
	"update_bounded": [
		["/context/evidence/norm_ratio", 3.01],
		["/context/evidence/norm_ratio", 0],
	],
	"update_examples": [
		["/context/evidence/examples", 0],
		["/context/evidence/examples", 100001],
	],
	"update_finite": [
		["/context/evidence/nonfinite", 1],
		["/context/evidence", {}],
	],
	"update_measured": [
		["/context/evidence/norm", 0],
		["/context/evidence/parameters", 0],
		["/context/evidence/update_digest", "md5:00"],
		["/context/evidence/reference", "itself"],
	],
	"update_new": [
		["/context/evidence/seen_before", true],
		["/context/evidence/replay_cosine", 0.999],
	],
	"update_plausible": [
		["/context/behaviour/p_value", 0.05],
		["/context/behaviour/p_value", null],
		["/context/behaviour", {"state": "trusted", "e_value": 1, "comparable": 20}],
	],
	"update_shaped": [["/context/evidence/shapes_match", false]],
	"update_unique": [["/context/evidence/duplicates", 1]],
}

test_a_member_is_granted_a_submission if {
	decision := gradient_submission.decision with input as samples.granting
	decision.allow
	decision.obligations == {"watch": false}
	decision.ttl_seconds == 300
}

test_a_sound_update_is_admitted_and_clipped if {
	decision := gradient_submission.decision with input as samples.admitting
	decision.allow
	decision.obligations == {"clip_norm_ratio": 1.5, "watch": false}
}

test_each_requirement_of_a_grant_is_missed if {
	every code, breaks in object.union(broken, broken_grant) {
		every change in breaks {
			decision := gradient_submission.decision with input as samples.put(samples.granting, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
		}
	}
}

test_each_requirement_of_an_admission_is_missed if {
	every code, breaks in object.union(broken, broken_admission) {
		every change in breaks {
			decision := gradient_submission.decision with input as samples.put(samples.admitting, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
		}
	}
}

test_every_requirement_is_tested if {
	to_grant := gradient_submission.required with input as samples.granting
	to_grant - object.keys(object.union(broken, broken_grant)) == {"window_open"}
	to_admit := gradient_submission.required with input as samples.admitting
	to_admit == object.keys(object.union(broken, broken_admission))
}

test_a_number_is_a_number if {
	every path in [
		"/subject/properties/trust/score",
		"/context/capability/uses",
		"/context/capability/age_seconds",
		"/context/capability/max_norm",
		"/context/behaviour/e_value",
		"/context/behaviour/p_value",
		"/context/evidence/cosine",
		"/context/evidence/duplicates",
		"/context/evidence/examples",
		"/context/evidence/nonfinite",
		"/context/evidence/norm",
		"/context/evidence/norm_ratio",
		"/context/evidence/parameters",
		"/context/evidence/replay_cosine",
		"/context/round/opens_at",
		"/context/round/closes_at",
		"/context/round/submissions",
		"/context/time",
	] {
		every value in samples.not_numbers {
			decision := gradient_submission.decision with input as samples.put(samples.admitting, path, value)
			not decision.allow
		}
	}
}

test_an_update_that_was_not_screened_is_refused if {
	decision := gradient_submission.decision with input as samples.without(samples.admitting, "/context/evidence")
	samples.codes(decision) == {
		"capability_norm_kept",
		"update_aligned",
		"update_bounded",
		"update_examples",
		"update_finite",
		"update_measured",
		"update_new",
		"update_shaped",
		"update_unique",
	}
}

test_an_update_that_was_not_judged_is_refused if {
	decision := gradient_submission.decision with input as samples.without(samples.admitting, "/context/behaviour")
	samples.codes(decision) == {"behaviour_admitted", "update_plausible"}
}

test_with_too_few_comparable_peers_the_absolute_limits_alone_hold if {
	few := samples.put(samples.admitting, "/context/behaviour", {"state": "watched", "e_value": 1, "comparable": 19})
	gradient_submission.decision.allow with input as few
	bent := samples.put(few, "/context/evidence/cosine", -0.3)
	samples.codes(gradient_submission.decision) == {"update_aligned"} with input as bent
}

test_a_grant_does_not_admit if {
	decision := gradient_submission.decision with input as samples.put(samples.granting, "/context/phase", "admit")
	not decision.allow
}

test_a_phase_that_nobody_knows_is_denied if {
	unknown := samples.put(samples.admitting, "/context/phase", "later")
	samples.codes(gradient_submission.decision) == {"phase_known"} with input as unknown
	samples.codes(gradient_submission.decision) == {"phase_known"} with input as {}
}

test_whatever_became_of_an_update_nobody_is_set_apart_here if {
	hostile := samples.put(samples.admitting, "/context/behaviour/e_value", 900)
	decision := gradient_submission.decision with input as hostile
	samples.codes(decision) == {"behaviour_admitted"}
	decision.obligations == {}
}

test_a_watched_device_submits_for_a_shorter_time if {
	decision := gradient_submission.decision with input as samples.put(
		samples.granting,
		"/subject/properties/trust/score",
		0.6,
	)
	decision.obligations == {"watch": true}
	decision.ttl_seconds == 120
}

test_a_grant_carries_the_limits_that_the_model_states if {
	limited := {"smart-home-intents": object.union(data.data.resources["smart-home-intents"], {"limits": {
		"epsilon": 0.5,
		"max_bytes": 1000,
		"max_norm": 2.5,
		"max_output_tokens": 8,
	}})}
	decision := gradient_submission.decision with input as samples.granting with data.data.resources as limited
	decision.allow
	decision.obligations == {"epsilon": 0.5, "max_bytes": 1000, "max_norm": 2.5, "watch": false}
}

test_a_restricted_model_is_trained_in_its_window_alone if {
	late := samples.now + 10800
	decision := gradient_submission.decision with input as json.patch(samples.granting, [
		{"op": "replace", "path": "/resource/id", "value": "fall-detection"},
		{"op": "replace", "path": "/subject/properties/attestation", "value": {"level": "hardware", "age_seconds": 1}},
		{"op": "replace", "path": "/context/round/model", "value": "fall-detection"},
		{"op": "replace", "path": "/context/time", "value": late},
		{"op": "replace", "path": "/context/round/closes_at", "value": late + 1},
		{"op": "add", "path": "/context/privacy", "value": object.union(data.ztfm.privacy.plans["fall-detection"], {
			"known": true,
			"cause": "",
			"charges": 0,
			"epsilon_spent": 0,
			"epsilon_after": 0.51,
			"epsilon_alone": 0.51,
		})},
	])
	samples.codes(decision) == {"window_open"}
}
