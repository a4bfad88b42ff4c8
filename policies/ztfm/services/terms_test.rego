package ztfm.services_test

import data.ztfm.services

asked := {"ip_versions": [4, 6]}

aggregator := {
	"description": "Runs rounds.",
	"audience": "aggregator-1",
	"addresses": ["10.10.0.10"],
	"protocol": "tcp",
	"ports": [8443],
}

gateway := object.union(aggregator, {"audience": "gateway-1", "addresses": ["10.10.0.20"]})

test_every_service_that_is_shipped_is_told if {
	found := services.terms with input as asked
	object.keys(found.services) == object.keys(data.data.services)
	count(found.services) > 0
}

test_a_service_is_told_without_what_is_for_people if {
	found := services.terms with input as asked with data.data.services as {"a": aggregator, "b": gateway}
	found.services.a == object.remove(aggregator, ["description"])
	found.services.b.audience == "gateway-1"
}

test_services_that_share_an_audience_are_told_to_nobody if {
	shared := {"a": aggregator, "b": aggregator, "c": gateway}
	found := services.terms with input as asked with data.data.services as shared
	object.keys(found.services) == {"c"}
}

test_a_service_without_an_audience_is_none if {
	found := services.terms with input as asked
		with data.data.services as {"a": object.remove(aggregator, ["audience"]), "b": null, "c": gateway}
	object.keys(found.services) == {"c"}
}

test_nobody_asks_for_nothing if {
	every question in [{}, {"ip_versions": []}, {"ip_versions": null}] {
		not services.terms with input as question
	}
}
