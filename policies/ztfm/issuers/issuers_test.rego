package ztfm.issuers_test

import data.ztfm.issuers

test_an_issuer_that_the_data_name_is_accepted if {
	some issuer, _ in data.data.enrolment.issuers
	issuers.terms == {"accepted": true} with input as {"issuer": issuer}
}

test_nobody_else_is if {
	every issuer in ["", "did:web:issuer.invalid.", "did:web:ISSUER.invalid", "did:key:z", null, true, 0, [], {}] {
		issuers.terms == {"accepted": false} with input as {"issuer": issuer}
	}
	issuers.terms == {"accepted": false} with input as {}
}

test_an_issuer_of_nothing_is_not if {
	issuers.terms == {"accepted": false} with input as {"issuer": "did:key:z"}
		with data.data.enrolment as {"issuers": {"did:key:z": {}}}
}
