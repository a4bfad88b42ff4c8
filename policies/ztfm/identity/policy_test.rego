package ztfm.identity_test

import data.ztfm.identity
import data.ztfm.lib.samples_test as samples

found := samples.differing

kind(name) := samples.put(found, "/context/finding/kind", name)

# What breaks each requirement.
broken := {
	"finding_known": [
		["/context/finding/kind", null],
		["/context/finding/kind", "ledger_lied"],
		["/context/finding/kind", ["late"]],
	],
	"findings_bounded": [
		["/context/finding/together", 51],
		["/context/finding/together", 0],
		["/context/finding/together", null],
		["/context/finding/together", "1"],
	],
	"resource_kind": [
		["/resource/type", "ledger"],
		["/resource/type", null],
		["/resource/id", null],
	],
	"status_known": [
		["/context/device/status", null],
		["/context/device/status", "gone"],
		["/context/device", {}],
	],
}

test_what_is_done_by_kind_of_finding if {
	every name, expected in {
		"late": {},
		"other_key": {"status": "quarantined"},
		"refused_record": {},
		"rejected": {},
		"revoked_elsewhere": {"status": "revoked"},
		"unrecorded": {"status": "quarantined"},
	} {
		decision := identity.decision with input as kind(name)
		decision.allow
		decision.obligations == expected
	}
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := identity.decision with input as samples.put(found, change[0], change[1])
			samples.codes(decision) == {code}
			decision.obligations == {}
		}
	}
}

test_every_requirement_is_tested if identity.required == object.keys(broken)

test_a_number_is_a_number if {
	every value in samples.not_numbers {
		decision := identity.decision with input as samples.put(found, "/context/finding/together", value)
		samples.codes(decision) == {"findings_bounded"}
	}
}

test_nobody_is_let_back if {
	every status, expected in {
		"active": {"status": "quarantined"},
		"quarantined": {},
		"revoked": {},
	} {
		decision := identity.decision with input as samples.put(found, "/context/device/status", status)
		decision.allow
		decision.obligations == expected
	}
	lenient := object.union(data.data.limits, {"identity": {"findings_maximum": 50, "statuses": {"other_key": "active"}}})
	quarantined := samples.put(found, "/context/device/status", "quarantined")
	decision := identity.decision with input as quarantined with data.data.limits as lenient
	decision.obligations == {}
}

test_a_quarantined_device_that_is_revoked_elsewhere_is_revoked if {
	quarantined := samples.put(kind("revoked_elsewhere"), "/context/device/status", "quarantined")
	identity.decision.obligations == {"status": "revoked"} with input as quarantined
}

test_without_data_nothing_is_done if {
	silent := object.remove(data.data.limits, ["identity"])
	decision := identity.decision with input as found with data.data.limits as silent
	not decision.allow
	decision.obligations == {}
}

test_an_empty_input_is_denied if {
	samples.codes(identity.decision) == identity.required with input as {}
}
