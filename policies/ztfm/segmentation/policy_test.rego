package ztfm.segmentation_test

import data.ztfm.lib.samples_test as samples
import data.ztfm.segmentation

# What breaks each requirement.
broken := {
	"attachment_in_network": [
		["/context/attachment/address", "10.10.0.9"],
		["/context/attachment/address", "8.8.8.8"],
		["/context/attachment/address", null],
		["/subject/properties/segment", "core"],
	],
	"flow_named": [
		["/context/action", "inference"],
		["/resource/id", "gateway-1"],
		["/context/action", null],
	],
	"place_named": [
		["/subject/properties/segment", "core"],
		["/subject/properties/trust/score", null],
		["/context/attachment/site", null],
		["/context/attachment/device_class", 1],
		["/context/attachment/line", true],
		["/context/attachment", {}],
	],
	"sensitivity_named": [
		["/context/model", "unheard-of"],
		["/context/model", null],
	],
	"service_known": [
		["/resource/id", "payroll"],
		["/resource/id", "AGGREGATOR-1"],
		["/resource/type", "model"],
	],
	"subject_active": [
		["/subject/properties/status", "quarantined"],
		["/subject/properties/status", "revoked"],
	],
	"subject_known": [
		["/subject/type", "guest"],
		["/subject/properties/key_thumbprint", null],
	],
}

line(name) := {
	"zones": {"homes": true},
	"sites": {"plant-1": true},
	"lines": {name: true},
	"device_classes": {"camera": true},
	"standings": {"full": true},
}

flow := {
	"from": {"line-2": true},
	"to": {"aggregator": true},
	"for": {"gradient_submission": true},
	"sensitivities": {"internal": true},
	"seconds": 60,
}

plant := {"segments": {"line-2": line("2"), "line-3": line("3")}, "flows": {"submit": flow}}

at(site, name, class) := samples.put(
	samples.segmenting,
	"/context/attachment",
	{"address": "192.168.1.20", "site": site, "line": name, "device_class": class, "tunnelled": false},
)

test_a_trainer_at_home_reaches_the_aggregator if {
	decision := segmentation.decision with input as samples.segmenting
	decision.allow
	decision.obligations == {"service": "aggregator"}
	decision.ttl_seconds == 300
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := segmentation.decision with input as samples.put(samples.segmenting, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.obligations == {}
		}
	}
}

test_every_requirement_is_tested if {
	segmentation.required == object.keys(broken)
}

test_an_empty_input_is_denied if {
	decision := segmentation.decision with input as {}
	samples.codes(decision) == segmentation.required
}

test_a_camera_of_line_2_alone_reaches_the_aggregator_of_its_plant if {
	able := {concat("/", [site, name, class]) |
		some site in ["plant-1", "plant-2"]
		some name in ["1", "2", "3"]
		some class in ["camera", "robot"]
		segmentation.decision.allow with input as at(site, name, class) with data.data.segmentation as plant
	}
	able == {"plant-1/2/camera"}
}

test_a_device_without_a_line_is_on_any_and_on_none_that_is_named if {
	off := samples.without(at("plant-1", "2", "camera"), "/context/attachment/line")
	samples.codes(segmentation.decision) == {"flow_named", "place_named", "sensitivity_named"} with input as off
		with data.data.segmentation as plant
	anywhere := samples.put(plant, "/segments/line-2/lines", "any")
	segmentation.decision.allow with input as off with data.data.segmentation as anywhere
}

test_who_is_watched_is_where_watched_devices_may_be if {
	watched := samples.put(at("plant-1", "2", "camera"), "/subject/properties/trust/score", 0.6)
	not segmentation.decision.allow with input as watched with data.data.segmentation as plant
	both := samples.put(plant, "/segments/line-2/standings", {"full": true, "watched": true})
	segmentation.decision.allow with input as watched with data.data.segmentation as both
}

test_a_restricted_model_is_reached_with_full_trust_and_for_a_shorter_time if {
	restricted := samples.put(samples.segmenting, "/context/model", "fall-detection-lora")
	models := {"fall-detection-lora": {"sensitivity": "restricted"}}
	full := segmentation.decision with input as restricted with data.data.resources as models
	full.ttl_seconds == 120
	watched := samples.put(restricted, "/subject/properties/trust/score", 0.6)
	samples.codes(segmentation.decision) == {"sensitivity_named"} with input as watched
		with data.data.resources as models
}

test_the_longest_of_the_flows_counts if {
	more := samples.put(plant, "/flows/longer", object.union(flow, {"seconds": 90}))
	decision := segmentation.decision with input as at("plant-1", "2", "camera") with data.data.segmentation as more
	decision.ttl_seconds == 90
}

test_what_cannot_be_read_of_a_segment_or_a_flow_opens_nothing if {
	asked := at("plant-1", "2", "camera")
	every field in ["device_classes", "lines", "sites", "standings", "zones"] {
		every value in [null, true, "", "2", [], ["2"], {"2": "true"}, {"2": 1}, {}] {
			kept := samples.put(plant, sprintf("/segments/line-2/%s", [field]), value)
			not segmentation.decision.allow with input as asked with data.data.segmentation as kept
		}
		lost := samples.without(plant, sprintf("/segments/line-2/%s", [field]))
		not segmentation.decision.allow with input as asked with data.data.segmentation as lost
	}
	every field in ["from", "to", "for", "sensitivities", "seconds"] {
		every value in [null, true, "any", "", [], {}, 4, 301, -1] {
			kept := samples.put(plant, sprintf("/flows/submit/%s", [field]), value)
			not segmentation.decision.allow with input as asked with data.data.segmentation as kept
		}
		lost := samples.without(plant, sprintf("/flows/submit/%s", [field]))
		not segmentation.decision.allow with input as asked with data.data.segmentation as lost
	}
	every kept in [null, {}, [], {"segments": null, "flows": null}] {
		not segmentation.decision.allow with input as asked with data.data.segmentation as kept
	}
}

test_an_audience_of_two_services_is_none if {
	twice := {"aggregator": {"audience": "aggregator-1"}, "other": {"audience": "aggregator-1"}}
	decision := segmentation.decision with input as samples.segmenting with data.data.services as twice
	samples.codes(decision) == {"flow_named", "sensitivity_named", "service_known"}
}

test_visitors_reach_no_restricted_model if {
	visiting := json.patch(samples.segmenting, [
		{"op": "replace", "path": "/subject/properties/segment", "value": "guests"},
		{"op": "replace", "path": "/context/attachment/address", "value": "10.30.0.7"},
		{"op": "replace", "path": "/context/action", "value": "inference"},
		{"op": "replace", "path": "/resource/id", "value": "gateway-1"},
	])
	opened := segmentation.decision with input as visiting
	opened.obligations.service == "gateway"
	closed := segmentation.decision with input as visiting
		with data.data.resources as {"smart-home-intents": {"sensitivity": "restricted"}}
	samples.codes(closed) == {"sensitivity_named"}
}
