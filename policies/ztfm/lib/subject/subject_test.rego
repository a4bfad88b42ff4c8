package ztfm.lib.subject_test

import data.ztfm.lib.samples_test as samples
import data.ztfm.lib.subject

test_a_subject_in_good_standing_proves_everything if {
	subject.proven == {
		"network_allowed",
		"subject_active",
		"subject_known",
		"trust_sufficient",
	} with input as samples.serving
	subject.standing == "full" with input as samples.serving
}

test_a_stranger_proves_only_where_it_is if {
	subject.proven == set() with input as samples.without(samples.serving, "/subject/properties")
}

test_each_network_of_a_segment_is_allowed if {
	every address in ["127.0.0.1", "::1", "192.168.255.255", "172.17.0.2", "10.20.0.1", "::ffff:127.0.0.1"] {
		subject.is_in_network with input as samples.put(samples.serving, "/context/network/address", address)
	}
}

test_no_other_network_is_allowed if {
	every address in ["10.10.0.1", "10.30.0.1", "8.8.8.8", "fe80::1", "", "0", null, 2130706433, []] {
		not subject.is_in_network with input as samples.put(samples.serving, "/context/network/address", address)
	}
}

test_trust_is_a_share if {
	every score in {-0.1, 1.1, null, true, "0.9", [0.9], {"score": 0.9}} {
		not subject.trust with input as samples.put(samples.serving, "/subject/properties/trust/score", score)
	}
	subject.trust == 0 with input as samples.put(samples.serving, "/subject/properties/trust/score", 0)
	subject.trust == 1 with input as samples.put(samples.serving, "/subject/properties/trust/score", 1)
}

test_standing_is_full_from_the_limit_on if {
	subject.standing == "full" with input as samples.put(samples.serving, "/subject/properties/trust/score", 0.7)
	subject.standing == "watched" with input as samples.put(samples.serving, "/subject/properties/trust/score", 0.699)
	subject.standing == "watched" with input as {}
}

test_a_limit_that_is_no_number_makes_nobody_trusted if {
	every limit in {null, false, true, "0.1", [], {}, -1} {
		mistyped := object.union(data.data.limits, {"trust": object.union(data.data.limits.trust, {"full": limit})})
		subject.standing == "watched" with input as samples.serving with data.data.limits as mistyped
	}
}

test_trust_that_is_asked_for_is_a_number if {
	every least in {null, false, true, "0.1", [], {}, -1} {
		sensitivity := object.union(data.data.limits.sensitivities.internal, {"trust_minimum": least})
		sensitivities := object.union(data.data.limits.sensitivities, {"internal": sensitivity})
		mistyped := object.union(data.data.limits, {"sensitivities": sensitivities})
		not "trust_sufficient" in subject.proven with input as samples.serving with data.data.limits as mistyped
	}
}
