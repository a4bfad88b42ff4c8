package ztfm.content_test

import data.ztfm.content
import data.ztfm.lib.samples_test as samples

# The data with a change for prompts of internal models.
kept(part) := object.union(data.data.content, {"sensitivities": {"internal": {"prompt": part}}})

# The data with something left out of it.
less(path) := json.remove(data.data.content, [path])

test_a_signal_that_no_threshold_of_denial_is_kept_for_passes_nothing if {
	every signal, _ in samples.judging.context.findings {
		path := sprintf("/sensitivities/internal/prompt/from/%s/deny", [signal])
		decision := content.decision with input as samples.judging with data.data.content as less(path)
		"content_below_denial" in samples.codes(decision)
	}
}

test_a_threshold_that_is_no_number_takes_its_measure if {
	every value in samples.not_numbers | {"never"} {
		changed := kept({"from": {"coverage": {"slow": value}}})
		decision := content.decision with input as samples.judging with data.data.content as changed
		decision.obligations == {"requests_per_minute": 12}
	}
}

test_a_threshold_of_denial_that_is_no_number_denies if {
	every value in samples.not_numbers | {"never"} {
		changed := kept({"from": {"coverage": {"deny": value}}})
		decision := content.decision with input as samples.judging with data.data.content as changed
		not decision.allow
	}
}

test_a_measure_without_an_amount_passes_nothing if {
	every amount, asked in {
		"requests_per_minute": "injection",
		"max_output_tokens": "injection",
	} {
		suspicious := samples.put(samples.judging, concat("", ["/context/findings/", asked]), 0.6)
		path := concat("", ["/sensitivities/internal/amounts/", amount])
		decision := content.decision with input as suspicious with data.data.content as less(path)
		samples.codes(decision) == {"content_terms_known"}
	}
}

test_without_the_measures_of_a_standing_all_are_taken if {
	changed := less("/sensitivities/internal/prompt/always/full")
	decision := content.decision with input as samples.judging with data.data.content as changed
	{"content_below_denial", "content_stepped_up"} & samples.codes(decision) == {
		"content_below_denial",
		"content_stepped_up",
	}
}

test_what_is_always_taken_is_taken_where_it_is_anything_but_false if {
	every value in {true, null, "false", 0} {
		changed := kept({"always": {"full": {"slow": value}}})
		decision := content.decision with input as samples.judging with data.data.content as changed
		decision.obligations == {"requests_per_minute": 12}
	}
	spared := kept({"always": {"full": {"slow": false}}})
	decision := content.decision with input as samples.judging with data.data.content as spared
	decision.obligations == {}
}

test_without_a_time_for_it_nobody_steps_up if {
	fresh := samples.put(samples.judging, "/context/capability/age_seconds", 0)
	asked := samples.put(fresh, "/context/findings/injection", 0.8)
	decision := content.decision with input as asked with data.data.content as less("/step_up_seconds")
	samples.codes(decision) == {"content_stepped_up"}
	decision.obligations == {}
	every value in samples.not_numbers {
		changed := object.union(less("/step_up_seconds"), {"step_up_seconds": value})
		denied := content.decision with input as asked with data.data.content as changed
		samples.codes(denied) == {"content_stepped_up"}
	}
}

test_every_measure_that_is_kept_but_denials_has_a_part if {
	parts := content.parts with input as samples.judging
	kept_measures := {measure |
		some sensitivity in data.data.content.sensitivities
		some direction in {"prompt", "answer"}
		some thresholds in sensitivity[direction].from
		some measure, _ in thresholds
	}
	object.keys(parts) | {"deny", "step_up"} == kept_measures | {"watermark"}
}

test_every_sensitivity_has_terms_that_deny_something if {
	every sensitivity, _ in data.data.limits.sensitivities {
		every direction in {"prompt", "answer"} {
			from := data.data.content.sensitivities[sensitivity][direction].from
			every signal, _ in samples.judging.context.findings {
				is_number(from[signal].deny)
			}
			count([true | some thresholds in from; thresholds.deny < 2000]) > 0
		}
	}
}

test_without_a_time_to_rely_on_it_nothing_can_be_relied_on if {
	decision := content.decision with input as samples.judging with data.data.content as less("/ttl_seconds")
	decision.ttl_seconds == 0
	decision.obligations == {}
}
