package ztfm.content_test

import data.ztfm.content
import data.ztfm.lib.samples_test as samples

# What breaks each requirement.
broken := {
	"action_not_held": [
		["/context/holds/current", {"hold-1": samples.hold("homes", "inference")}],
		["/context/holds/current", {"hold-1": samples.hold("*", "inference")}],
	],
	"content_below_denial": [
		["/context/findings/injection", 0.93],
		["/context/findings/injection", null],
		["/context/findings/secrets", 100],
		["/context/findings/personal", {"email": 499, "iban": 1}],
		["/context/findings/near_duplicate", 1],
		["/context/direction", "sideways"],
		["/resource/id", "unheard-of"],
	],
	"content_capability_current": [
		["/context/capability/age_seconds", 301],
		["/context/capability/age_seconds", -1],
		["/context/capability/id", 1],
	],
	"content_described": [
		["/context/findings/injection", 1.01],
		["/context/findings/injection", "0"],
		["/context/findings/secrets", -1],
		["/context/findings/secrets", true],
		["/context/findings/personal", []],
		["/context/findings/personal", {"email": "1"}],
		["/context/findings/personal", {"email": -1, "phone": 1}],
		["/context/findings/near_duplicate", null],
		["/context/findings/coverage", 1.5],
		["/context/findings/coverage", {}],
	],
	"content_stepped_up": [["/context/findings/injection", 0.75], ["/context/findings/coverage", 0.8]],
	"content_terms_known": [["/context/direction", "sideways"], ["/resource/id", "unheard-of"]],
	"holds_known": [["/context/holds/known", false], ["/context/holds", {}]],
	"reporter_active": [["/context/reporter/status", "quarantined"], ["/context/reporter", {}]],
	"reporter_granted": [
		["/context/reporter/roles", ["consumer", "operator"]],
		["/context/reporter/roles", []],
		["/context/reporter/segment", "homes"],
		["/context/reporter/segment", "nowhere"],
	],
	"reporter_in_network": [
		["/context/network/address", "192.168.1.20"],
		["/context/network/address", null],
		["/context/reporter/segment", "nowhere"],
	],
	"resource_known": [["/resource/type", "service"], ["/resource/id", "unheard-of"]],
	"segment_allowed": [["/subject/properties/segment", "nowhere"]],
	"subject_active": [["/subject/properties/status", "revoked"], ["/subject/properties/status", "quarantined"]],
	"subject_known": [["/subject/type", "guest"], ["/subject/properties", {}]],
	"trust_sufficient": [["/subject/properties/trust/score", 0.249]],
}

finding(name, value) := samples.put(samples.judging, concat("", ["/context/findings/", name]), value)

answering := samples.put(samples.judging, "/context/direction", "answer")

answered(name, value) := samples.put(answering, concat("", ["/context/findings/", name]), value)

watched(asked) := samples.put(asked, "/subject/properties/trust/score", 0.5)

test_a_plain_prompt_passes_as_it_is if {
	decision := content.decision with input as samples.judging
	decision.allow
	decision.obligations == {}
	decision.ttl_seconds == 30
}

test_a_plain_answer_bears_a_tag if {
	decision := content.decision with input as answering
	decision.obligations == {"watermark": "generated.internal"}
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := content.decision with input as samples.put(samples.judging, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.ttl_seconds == 0
		}
	}
}

test_every_requirement_is_tested if {
	content.required == object.keys(broken)
}

test_an_empty_input_is_denied if {
	decision := content.decision with input as {}
	samples.codes(decision) == content.required
	decision.obligations == {}
}

test_a_number_is_a_number if {
	every path in [
		"/subject/properties/trust/score",
		"/context/capability/age_seconds",
		"/context/findings/injection",
		"/context/findings/secrets",
		"/context/findings/coverage",
	] {
		every value in samples.not_numbers {
			decision := content.decision with input as samples.put(samples.judging, path, value)
			not decision.allow
		}
	}
}

test_a_finding_that_is_left_out_passes_nothing if {
	every name, _ in samples.judging.context.findings {
		decision := content.decision with input as samples.without(
			samples.judging,
			concat("", ["/context/findings/", name]),
		)
		not decision.allow
		{"content_below_denial", "content_described"} & samples.codes(decision) != set()
	}
}

test_a_suspicious_prompt_slows_its_subject_and_shortens_the_answer if {
	decision := content.decision with input as finding("injection", 0.5)
	decision.allow
	decision.obligations == {"max_output_tokens": 128, "requests_per_minute": 12}
	less := content.decision with input as finding("injection", 0.499)
	less.obligations == {}
}

test_a_credential_is_blacked_out if {
	decision := content.decision with input as finding("secrets", 1)
	decision.obligations == {"redact": {"secrets"}}
}

test_personal_data_of_all_kinds_count_together if {
	decision := content.decision with input as answered("personal", {"email": 199, "iban": 1})
	samples.codes(decision) == {"content_below_denial"}
	less := content.decision with input as answered("personal", {"email": 198, "iban": 1})
	less.obligations == {"redact": {"personal"}, "watermark": "generated.internal"}
}

test_what_feels_around_one_point_gets_rounded_answers if {
	decision := content.decision with input as answered("near_duplicate", true)
	decision.obligations == {"decimals": 2, "watermark": "generated.internal"}
}

test_who_covers_the_space_gets_no_scores if {
	decision := content.decision with input as answered("coverage", 0.5)
	decision.obligations == {
		"decimals": 2,
		"suppress": {"logits", "probabilities"},
		"watermark": "generated.internal",
	}
	less := content.decision with input as answered("coverage", 0.2)
	less.obligations == {"suppress": {"logits"}, "watermark": "generated.internal"}
}

test_a_watched_subject_is_shown_less_whatever_is_found if {
	decision := content.decision with input as watched(answering)
	decision.obligations == {"decimals": 2, "suppress": {"logits"}, "watermark": "generated.internal"}
	asked := content.decision with input as watched(samples.judging)
	asked.obligations == {"redact": {"secrets"}}
}

test_a_label_alone_is_shown_of_a_restricted_model if {
	decision := content.decision with input as watched(samples.put(answering, "/resource/id", "fall-detection"))
	not decision.allow
	trusted := samples.put(answered("coverage", 0.4), "/resource/id", "fall-detection")
	shown := content.decision with input as trusted
	shown.obligations.detail == "label_only"
	shown.obligations.suppress == {"logits", "probabilities"}
	shown.obligations.decimals == 1
}

test_a_capability_of_just_now_is_a_step_up if {
	decision := content.decision with input as finding("injection", 0.8)
	samples.codes(decision) == {"content_stepped_up"}
	decision.obligations == {"step_up_seconds": 30}
	decision.ttl_seconds == 0
	anew := content.decision with input as samples.put(finding("injection", 0.8), "/context/capability/age_seconds", 30)
	anew.allow
	anew.obligations == {"max_output_tokens": 128, "requests_per_minute": 12}
	late := content.decision with input as samples.put(finding("injection", 0.8), "/context/capability/age_seconds", 30.5)
	not late.allow
}

test_who_is_trusted_by_exception_is_told_to_step_up_too if {
	suspicious := samples.put(finding("injection", 0.8), "/subject/properties/trust/score", 0.1)
	decision := content.decision with input as suspicious
		with data.ztfm.lib.exceptions.waives as {"exc-1": {"trust_sufficient"}}
	not decision.allow
	decision.obligations == {"step_up_seconds": 30}
	anew := content.decision with input as samples.put(suspicious, "/context/capability/age_seconds", 30)
		with data.ztfm.lib.exceptions.waives as {"exc-1": {"trust_sufficient"}}
	anew.allow
	not "step_up_seconds" in object.keys(anew.obligations)
}

test_ages_that_are_no_numbers_in_the_data_let_nothing_pass if {
	every value in samples.not_numbers {
		decision := content.decision with input as samples.judging with data.data.limits.capability_age_seconds as value
		not decision.allow
		suspicious := content.decision with input as finding("injection", 0.8) with data.data.content.step_up_seconds as value
		not suspicious.allow
	}
}

test_nobody_steps_up_to_what_is_denied_anyway if {
	decision := content.decision with input as finding("injection", 0.95)
	samples.codes(decision) == {"content_below_denial", "content_stepped_up"}
	decision.obligations == {}
	elsewhere := content.decision with input as samples.put(
		finding("injection", 0.8),
		"/context/reporter/roles",
		["consumer"],
	)
	elsewhere.obligations == {}
}

test_a_gateways_segment_has_to_let_it_ask_and_be_a_place_for_gateways if {
	every path in ["/core/roles/gateway", "/core/actions/content:ask"] {
		elsewhere := json.remove(data.data.segments, [path])
		decision := content.decision with input as samples.judging with data.data.segments as elsewhere
		samples.codes(decision) == {"reporter_granted"}
	}
}
