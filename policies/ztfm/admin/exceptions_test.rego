package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

week := 604800

granting(role, properties) := samples.put(
	samples.administering(role, "exception:grant", "exception"),
	"/resource/properties",
	object.union({"waives": ["trust_sufficient"]}, properties),
)

test_an_administrator_alone_grants_an_exception if {
	able := {role |
		some role in roles
		admin.decision.allow with input as granting(role, {"owner": "dev-other", "lasts_seconds": week})
	}
	able == {"administrator"}
}

test_nobody_grants_one_to_itself if {
	every role in roles {
		codes := samples.codes(admin.decision) with input as granting(role, {"owner": me, "lasts_seconds": week})
		"approver_apart" in codes
	}
}

test_whom_it_is_for_is_said if {
	every owner in [null, "", 1, true, ["dev-other"], {"id": "dev-other"}] {
		codes := samples.codes(admin.decision)
			with input as granting("administrator", {"owner": owner, "lasts_seconds": week})
		codes == {"approver_apart"}
	}
	codes := samples.codes(admin.decision) with input as granting("administrator", {"lasts_seconds": week})
	codes == {"approver_apart"}
}

test_who_grants_it_has_a_name if {
	asked := granting("administrator", {"owner": "dev-other", "lasts_seconds": week})
	every name in [null, 1, true, [], {}] {
		codes := samples.codes(admin.decision) with input as samples.put(asked, "/subject/id", name)
		"approver_apart" in codes
	}
}

test_it_lasts_no_longer_than_the_limit if {
	limits := object.union(data.data.limits, {"exception_days_maximum": 7})
	every lasts, codes in {"604800": set(), "604800.5": {"exception_short"}, "1e308": {"exception_short"}} {
		found := samples.codes(admin.decision) with data.data.limits as limits
			with input as granting("administrator", {"owner": "dev-other", "lasts_seconds": to_number(lasts)})
		found == codes
	}
}

test_how_long_it_lasts_is_a_number_above_none if {
	every lasts in samples.not_numbers | {0, -1, -1e308} {
		codes := samples.codes(admin.decision)
			with input as granting("administrator", {"owner": "dev-other", "lasts_seconds": lasts})
		codes == {"exception_short"}
	}
}

test_what_policy_names_is_waived_and_nothing_else if {
	limits := object.union(data.data.limits, {"waivable": {"of_their_own": true, "trust_sufficient": false}})
	every code, codes in {"of_their_own": set(), "trust_sufficient": {"exception_waivable"}} {
		asked := granting("administrator", {"owner": "dev-other", "lasts_seconds": week, "waives": [code]})
		found := samples.codes(admin.decision) with data.data.limits as object.union(data.data.limits, limits)
			with input as asked
		found == codes
	}
}

test_what_it_waives_is_a_list_of_what_can_be_waived_alone if {
	every waives in [
		null,
		[],
		"trust_sufficient",
		{"trust_sufficient": true},
		["trust_sufficient", "role_granted"],
		["trust_sufficient", null],
		[["trust_sufficient"]],
	] {
		codes := samples.codes(admin.decision)
			with input as granting("administrator", {"owner": "dev-other", "lasts_seconds": week, "waives": waives})
		codes == {"exception_waivable"}
	}
}
