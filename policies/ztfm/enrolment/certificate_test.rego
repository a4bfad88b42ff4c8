package ztfm.enrolment_test

import data.ztfm.enrolment
import data.ztfm.lib.samples_test as samples

# What breaks each requirement on a certificate, and the others that fall with it.
certificate_broken := {
	"certificate_accepted": [["manufacturer", "other"], ["manufacturer", ""], ["manufacturer", null]],
	"certificate_bound": [["key_bound", false], ["key_bound", "true"], ["key_bound", 1]],
	"certificate_unexpired": [["expires_at", samples.now], ["expires_at", 0]],
	"certificate_unrefused": [["serial", null], ["serial", 42], ["device", null], ["device", 42]],
	"certificate_valid": [["valid", false], ["valid", 1], ["cause", "untrusted"], ["cause", null]],
}

certifying_with(name, value) := samples.put(samples.certifying, sprintf("/context/certificate/%s", [name]), value)

test_each_requirement_on_a_certificate_is_missed if {
	enrolment.evidence.certificate == object.keys(certificate_broken)
	every code, breaks in certificate_broken {
		every change in breaks {
			decision := enrolment.decision with input as certifying_with(change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
		}
	}
}

test_nothing_of_a_certificate_that_counts_may_be_left_out if {
	every name in object.keys(samples.certifying.context.certificate) - {"subject"} {
		pointer := sprintf("/context/certificate/%s", [name])
		decision := enrolment.decision with input as samples.without(samples.certifying, pointer)
		not decision.allow
	}
}

test_the_end_of_a_certificate_is_a_number if {
	every value in samples.not_numbers {
		decision := enrolment.decision with input as certifying_with("expires_at", value)
		not decision.allow
	}
}

test_what_is_refused_by_its_number_may_not_join if {
	every serial in ["2a", "2A", "00:2A", "002a", "0042"] {
		refusing := json.patch(data.data.enrolment, [{
			"op": "add",
			"path": sprintf("/manufacturers/example-maker/refused/%s", [serial]),
			"value": "Stolen from the shelf.",
		}])
		decision := enrolment.decision with input as samples.certifying with data.data.enrolment as refusing
		samples.codes(decision) == {"certificate_unrefused"}
	}
}

test_where_the_data_refuse_nothing_in_particular_nobody_joins if {
	every refused in [null, [], "", 0] {
		refusing := json.patch(data.data.enrolment, [{
			"op": "replace",
			"path": "/manufacturers/example-maker/refused",
			"value": refused,
		}])
		decision := enrolment.decision with input as samples.certifying with data.data.enrolment as refusing
		samples.codes(decision) == {"certificate_unrefused"}
	}
}
