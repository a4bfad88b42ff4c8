package ztfm.lib.exceptions_test

import data.ztfm.lib.exceptions
import data.ztfm.lib.samples_test as samples

day := 86400

id := "exc-019a7c2d4e5f00112233445566778899"

granted := {
	"subject": device,
	"resource": "fall-detection",
	"action": "model_access",
	"waives": {"attestation_fresh": true, "attestation_sufficient": true, "window_open": true},
	"approver": "operator@example.org",
	"reason": "Replacement of the attestation service.",
	"starts_at": asked.context.time - day,
	"ends_at": asked.context.time + day,
}

given(exception) := samples.put(asked, "/context/exceptions", {id: exception})

changed(field, value) := given(object.union(granted, {field: value}))

test_a_granted_exception_waives_what_it_names if {
	exceptions.waived == {"attestation_fresh", "attestation_sufficient", "window_open"} with input as given(granted)
	exceptions.waives == {id: exceptions.waived} with input as given(granted)
}

test_a_request_that_it_waives_is_allowed_and_names_it if {
	decision := data.ztfm.model_access.decision with input as given(granted)
	decision.allow
	decision.obligations.waived == {"attestation_sufficient", "attestation_fresh", "window_open"}
	decision.obligations.exceptions == {id}
}

test_a_request_that_needs_none_names_none if {
	decision := data.ztfm.model_access.decision
		with input as samples.put(samples.serving, "/context/exceptions", {id: granted})
	decision.allow
	object.get(decision.obligations, "exceptions", set()) == set()
}

test_it_is_for_one_subject_resource_and_action if {
	every field in ["subject", "resource", "action"] {
		every value in samples.not_numbers | {"other", 1} {
			exceptions.waived == set() with input as changed(field, value)
		}
	}
}

test_it_counts_from_its_start_until_its_end if {
	now := asked.context.time
	every times in [[now, now + 1], [now - 1, now + 0.25], [now - (89 * day), now + day]] {
		within := object.union(granted, {"starts_at": times[0], "ends_at": times[1]})
		count(exceptions.waived) == 3 with input as given(within)
	}
	every times in [
		[now + 0.25, now + 1],
		[now - 1, now],
		[now - 1, now - 0.25],
		[now + 1, now - 1],
		[now - (90 * day), now + 1],
		[now - 1, 1e308],
		[-1e308, now + 1],
		[0, 253402300799],
	] {
		outside := object.union(granted, {"starts_at": times[0], "ends_at": times[1]})
		exceptions.waived == set() with input as given(outside)
	}
}

test_times_that_are_no_numbers_waive_nothing if {
	every field in ["starts_at", "ends_at"] {
		every value in samples.not_numbers | {"2025-11-13T00:00:00Z"} {
			exceptions.waived == set() with input as changed(field, value)
		}
	}
	every value in samples.not_numbers {
		exceptions.waived == set() with input as samples.put(given(granted), "/context/time", value)
	}
}

test_nothing_is_waived_without_a_reason_and_an_approver if {
	every field in ["reason", "approver"] {
		every value in [null, "", " ", true, 1, ["x"], {"x": "y"}] {
			exceptions.waived == set() with input as changed(field, value)
		}
	}
}

test_what_a_subject_approved_for_itself_waives_nothing if {
	exceptions.waived == set() with input as changed("approver", device)
}

test_what_is_left_out_waives_nothing if {
	every field, _ in granted {
		exceptions.waived == set() with input as given(object.remove(granted, {field}))
	}
}

test_only_what_is_true_and_waivable_is_waived if {
	every waives in [
		null,
		true,
		"attestation_fresh",
		["attestation_fresh"],
		{},
		{"attestation_fresh": false, "attestation_sufficient": null, "window_open": "true"},
		{"subject_active": true, "role_granted": true, "capability_unused": true},
	] {
		exceptions.waived == set() with input as given(object.union(object.remove(granted, {"waives"}), {"waives": waives}))
	}
}

test_what_are_no_exceptions_waive_nothing if {
	every value in [null, true, 1, "x", [], {}, [id], {id: null}, {id: true}, {id: [granted.subject]}] {
		exceptions.waived == set() with input as samples.put(asked, "/context/exceptions", value)
	}
	exceptions.waived == set() with input as asked
}

test_of_two_that_waive_the_same_the_first_by_name_is_used if {
	two := samples.put(asked, "/context/exceptions", {
		"exc-1": object.union(object.remove(granted, {"waives"}), {"waives": {"window_open": true}}),
		"exc-2": granted,
		"exc-3": granted,
	})
	exceptions.used({"window_open"}) == {"exc-1"} with input as two
	exceptions.used({"window_open", "attestation_fresh"}) == {"exc-1", "exc-2"} with input as two
	exceptions.used({"role_granted"}) == set() with input as two
	exceptions.used(set()) == set() with input as two
}

test_one_in_the_bundle_and_one_that_was_granted_waive_together if {
	own := object.union(object.remove(granted, {"waives"}), {"waives": {"window_open": true}})
	signed := object.union(object.remove(exception, {"waives"}), {"waives": {
		"attestation_fresh": true,
		"attestation_sufficient": true,
	}})
	decision := data.ztfm.model_access.decision with input as given(own)
		with data.data.exceptions as {device: {"attestation-move": signed}}
	decision.allow
	decision.obligations.exceptions == {"attestation-move", id}
}
