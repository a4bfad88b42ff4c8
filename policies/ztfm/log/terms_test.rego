package ztfm.log_test

import data.ztfm.log

asked := {"packages": ["inference", "other"]}

masks := {
	"masked_names": {"password": true, "ssn": false},
	"masked_pointers": {
		"any": {"/context/network/address": true},
		"other": {"/claims/subject/email": true, "/claims/*/phone": false},
	},
	"retention_days": {"any": 30, "other": 7.5},
}

test_the_terms_that_are_shipped_mask_secrets_and_leave_the_time_to_the_setting if {
	terms := log.terms with input as asked
	object.keys(terms) == {"inference", "other"}
	every term in terms {
		{"password", "secret", "token", "authorization", "api_key", "ssn"} & term.names != set()
		not term.retention_days
	}
	{"password", "secret", "token", "authorization", "api_key", "ssn"} - terms.other.names == set()
}

test_each_package_has_its_own_and_what_is_for_any if {
	terms := log.terms with input as asked with data.data.log as masks
	terms == {
		"inference": {"names": {"password"}, "pointers": {"/context/network/address"}, "retention_days": 30},
		"other": {
			"names": {"password"},
			"pointers": {"/context/network/address", "/claims/subject/email"},
			"retention_days": 7.5,
		},
	}
}

test_what_is_not_false_is_masked if {
	every value in {true, null, 0, "no"} {
		changed := object.union(masks, {"masked_names": {"password": value}})
		terms := log.terms with input as asked with data.data.log as changed
		terms.other.names == {"password"}
	}
}

test_data_of_another_form_is_no_mask if {
	every name in {"masked_names", "masked_pointers"} {
		every value in {null, true, "password", ["password"], {"password"}} {
			terms := log.terms with input as asked with data.data.log as object.union(masks, {name: value})
			terms == {}
		}
		missing := log.terms with input as asked with data.data.log as object.remove(masks, {name})
		missing == {}
	}
	every scope in {null, true, "/a/b", ["/a/b"]} {
		changed := object.union(masks, {"masked_pointers": {"any": scope}})
		terms := log.terms with input as asked with data.data.log as changed
		terms == {}
	}
}

test_without_data_there_is_no_mask if {
	terms := log.terms with input as asked with data.data.log as {}
	terms == {}
}

test_without_days_the_setting_says if {
	changed := object.remove(masks, {"retention_days"})
	terms := log.terms with input as asked with data.data.log as changed
	every term in terms {
		not term.retention_days
	}
	count(terms) == 2
}

test_nobody_asks_for_nothing if {
	terms := log.terms with input as {}
	terms == {}
}
