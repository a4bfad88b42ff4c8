package ztfm.enrolment_test

import data.ztfm.enrolment
import data.ztfm.lib.samples_test as samples

# What breaks each requirement on a token, and the others that fall with it.
token_broken := {
	"roles_granted": [["/context/token/roles", []], ["/context/token/roles", ["consumer"]]],
	"segment_granted": [["/context/token/segment", "core"]],
	"token_unexpired": [
		["/context/token/expires_at", samples.now],
		["/context/time", samples.now + 3601],
		["/context/time", -1],
	],
	"token_unused": [["/context/token/uses", 1]],
	"token_valid": [["/context/token/valid", false], ["/context/token/valid", "true"]],
}

test_each_requirement_on_a_token_is_missed if {
	enrolment.evidence.token - object.keys(token_broken) == set()
	every code, breaks in token_broken {
		every change in breaks {
			decision := enrolment.decision with input as samples.put(samples.enrolling, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
		}
	}
}

test_a_number_of_a_token_is_a_number if {
	every path in ["/context/token/uses", "/context/token/expires_at", "/context/time"] {
		every value in samples.not_numbers {
			decision := enrolment.decision with input as samples.put(samples.enrolling, path, value)
			not decision.allow
		}
	}
}

test_a_token_that_nobody_issued_grants_nothing if {
	decision := enrolment.decision with input as samples.put(
		samples.enrolling,
		"/context/token",
		{"valid": false, "uses": 0, "expires_at": 0, "roles": [], "segment": ""},
	)
	samples.codes(decision) == {"roles_granted", "segment_granted", "token_unexpired", "token_valid"}
}

test_all_roles_of_a_token_may_be_asked_for if {
	decision := enrolment.decision with input as samples.put(
		samples.enrolling,
		"/subject/properties/roles",
		["consumer", "trainer"],
	)
	decision.allow
}
