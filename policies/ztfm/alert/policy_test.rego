package ztfm.alert_test

import data.ztfm.alert
import data.ztfm.lib.samples_test as samples

# What breaks each requirement of an alert that has something held.
broken := {
	"alert_named": [
		["/context/alert/name", null],
		["/resource/id", "ZtfmMassQuarantine"],
		["/resource/type", "hold"],
	],
	"alert_recent": [
		["/context/alert/started_at", samples.now - 901],
		["/context/alert/started_at", samples.now + 61],
		["/context/alert/started_at", null],
		["/context/time", samples.now + 3600],
	],
	"alert_segment_known": [
		["/context/alert/segment", "nowhere"],
		["/context/alert/segment", "*"],
		["/context/alert/segment", null],
	],
	"alert_severity_expected": [
		["/context/alert/severity", "info"],
		["/context/alert/severity", null],
	],
	"alert_status_known": [
		["/context/alert/status", "suppressed"],
		["/context/alert/status", null],
	],
	"holds_bounded": [
		["/context/holds/current", full(16)],
		["/context/holds/current", []],
		["/context/alert/fingerprint", null],
	],
	"holds_known": [
		["/context/holds/known", false],
		["/context/holds", {}],
	],
}

full(many) := {id: object.union(samples.hold("homes", "inference"), {"fingerprint": id}) |
	some digit in array.slice(split("0123456789abcdef", ""), 0, many)
	id := concat("", ["00000000fedcba9", digit])
}

resolved := json.patch(samples.alerting, [
	{"op": "replace", "path": "/context/alert/status", "value": "resolved"},
	{"op": "add", "path": "/context/alert/ended_at", "value": samples.now - 5},
])

named(name) := json.patch(samples.alerting, [
	{"op": "replace", "path": "/context/alert/name", "value": name},
	{"op": "replace", "path": "/resource/id", "value": name},
])

planning(changes) := object.union(data.data.alerts, {"responses": {"ZtfmPoisoningCampaign": changes}})

held := {"actions": ["gradient_submission"], "seconds": 900, "segment": "homes"}

test_a_poisoning_campaign_has_the_submissions_of_its_segment_held if {
	decision := alert.decision with input as samples.alerting
	decision.allow
	decision.obligations == {"hold": held}
	decision.ttl_seconds == 30
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := alert.decision with input as samples.put(samples.alerting, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.obligations == {}
		}
	}
}

test_every_requirement_is_tested if {
	required := alert.required with input as samples.alerting
	required == object.keys(broken)
}

test_a_number_is_a_number if {
	every path in ["/context/time", "/context/alert/started_at"] {
		every value in samples.not_numbers {
			decision := alert.decision with input as samples.put(samples.alerting, path, value)
			"alert_recent" in samples.codes(decision)
		}
	}
}

test_for_every_other_alert_nothing_is_done if {
	every name in ["ZtfmMassQuarantine", "ZtfmPolicyEngineDown", "Watchdog"] {
		decision := alert.decision with input as named(name)
		decision.allow
		decision.obligations == {}
	}
}

test_a_resolved_campaign_releases_what_it_had_held if {
	decision := alert.decision with input as resolved
	decision.allow
	decision.obligations == {"release": true}
	alert.decision.obligations == {} with input as resolved
		with data.data.alerts as planning({"release_when_resolved": false})
}

test_what_was_resolved_long_ago_releases_nothing if {
	every value in [samples.now - 901, samples.now + 61, null, "0"] {
		decision := alert.decision with input as samples.put(resolved, "/context/alert/ended_at", value)
		samples.codes(decision) == {"alert_recent"}
	}
}

test_the_last_hold_that_policy_allows_can_be_had_and_told_of_again if {
	alert.decision.allow with input as samples.put(samples.alerting, "/context/holds/current", full(15))
	own := object.union(full(15), {"hold-1": samples.hold("homes", "gradient_submission")})
	alert.decision.allow with input as samples.put(samples.alerting, "/context/holds/current", own)
}

test_an_author_holds_more_in_one_file if {
	everything := planning({"scope": "everywhere", "actions": {"inference": true, "model_access": true}, "seconds": 60})
	anywhere := samples.without(samples.alerting, "/context/alert/segment")
	decision := alert.decision with input as anywhere with data.data.alerts as everything
	decision.obligations.hold.segment == "*"
	decision.obligations.hold.seconds == 60
	decision.obligations.hold.actions == ["gradient_submission", "inference", "model_access"]
}

test_no_hold_is_longer_than_the_longest if {
	decision := alert.decision with input as samples.alerting with data.data.alerts as planning({"seconds": 3600})
	decision.obligations.hold.seconds == 1800
}

test_without_data_nothing_is_done if {
	decision := alert.decision with input as samples.alerting with data.data.alerts as {}
	not decision.allow
	decision.obligations == {}
}

test_an_empty_input_is_denied if {
	decision := alert.decision with input as {}
	samples.codes(decision) == {"alert_named", "alert_recent", "alert_status_known"}
}
