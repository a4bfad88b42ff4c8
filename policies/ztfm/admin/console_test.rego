package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

signing_in(role) := samples.administering(role, "console:sign_in", "console")

times := {"idle_seconds": 60, "session_seconds": 600}

test_who_signs_in_stays_for_as_long_as_the_limits_say_and_nothing_else_has_an_end_for_want_of_use if {
	limits := object.union(data.data.limits, {"console": times})
	decision := admin.decision with data.data.limits as limits with input as signing_in("operator")
	decision.allow
	decision.obligations == {"idle_seconds": 60, "lifetime_seconds": 600, "may_assert": []}
	read := admin.decision with input as reading
	not "idle_seconds" in object.keys(read.obligations)
}

test_without_limits_nobody_learns_how_long if {
	every lost in object.keys(times) {
		limits := object.union(object.remove(data.data.limits, {"console"}), {"console": object.remove(times, {lost})})
		decision := admin.decision with data.data.limits as limits with input as signing_in("operator")
		not "lifetime_seconds" in object.keys(decision.obligations)
	}
}

test_who_is_set_apart_does_not_sign_in if {
	every status in ["quarantined", "revoked", null, "", true] {
		asked := samples.put(signing_in("administrator"), "/subject/properties/status", status)
		samples.codes(admin.decision) == {"subject_active"} with input as asked
	}
}

test_one_signs_in_from_a_network_of_the_segment if {
	every address in ["8.8.8.8", "10.20.1.1", "", null] {
		asked := samples.put(signing_in("administrator"), "/context/network/address", address)
		samples.codes(admin.decision) == {"network_allowed"} with input as asked
	}
}

test_nobody_signs_in_to_anything_else if {
	every kind in ["decision", "", null] {
		asked := samples.put(signing_in("administrator"), "/resource/type", kind)
		samples.codes(admin.decision) == {"resource_kind"} with input as asked
	}
}
