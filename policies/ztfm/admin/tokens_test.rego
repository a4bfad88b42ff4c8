package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

issuing(named, segment) := samples.put(
	samples.administering("administrator", "token:issue", "enrolment_token"),
	"/resource/properties",
	{"roles": named, "segment": segment},
)

wanted_by(decision) := {reason.code: {difference.seen: difference.wanted |
	some difference in object.get(reason, "differences", [])
} |
	some reason in decision.reasons
}

test_tokens_are_for_roles_that_the_data_name_where_they_have_a_place if {
	every segment, entry in data.data.segments {
		fitting := {role | some role in roles; admin.decision.allow with input as issuing([role], segment)}
		fitting == object.keys(entry.roles) & roles
	}
	admin.decision.allow with input as issuing(["trainer", "consumer"], "homes")
}

test_a_role_that_the_data_do_not_name_gets_no_token if {
	every role in ["admin", "Trainer", "", null, true, 1, ["trainer"], {"trainer": true}] {
		every named in [[role], ["trainer", role]] {
			decision := admin.decision with input as issuing(named, "homes")
			samples.codes(decision) == {"roles_fit_segment", "roles_known"}
		}
	}
	decision := admin.decision with input as issuing(["trainer", "admin"], "guests")
	wanted_by(decision).roles_fit_segment == {"admin": ["consumer"], "trainer": ["consumer"]}
	object.keys(wanted_by(decision).roles_known) == {"admin"}
}

test_a_role_that_only_a_segment_names_gets_no_token if {
	named := json.patch(data.data.segments, [{"op": "add", "path": "/homes/roles/admin", "value": true}])
	decision := admin.decision with input as issuing(["admin"], "homes") with data.data.segments as named
	samples.codes(decision) == {"roles_known"}
}

test_a_role_gets_no_token_for_a_segment_that_has_no_place_for_it if {
	every segment in ["guests", "core", "nowhere", "", null, true, ["homes"]] {
		decision := admin.decision with input as issuing(["trainer"], segment)
		samples.codes(decision) == {"roles_fit_segment"}
	}
	every value in [false, null, "true", 1] {
		named := json.patch(data.data.segments, [{"op": "add", "path": "/homes/roles/trainer", "value": value}])
		decision := admin.decision with input as issuing(["trainer"], "homes") with data.data.segments as named
		samples.codes(decision) == {"roles_fit_segment"}
	}
}

test_tokens_for_no_role_are_issued_to_nobody if {
	every named in [null, "", "trainer", true, 1, [], {}, {"trainer": true}] {
		decision := admin.decision with input as issuing(named, "homes")
		samples.codes(decision) == {"roles_fit_segment", "roles_known"}
	}
	every lost in ["roles", "segment"] {
		unsaid := samples.without(issuing(["trainer"], "homes"), concat("/", ["/resource/properties", lost]))
		decision := admin.decision with input as unsaid
		"roles_fit_segment" in samples.codes(decision)
	}
}
