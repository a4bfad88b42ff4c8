package ztfm.attestation_test

import data.ztfm.attestation
import data.ztfm.lib.samples_test as samples

# By kind of evidence, what its measurements have beside what tells what runs.
beside := {
	"azure": ["pcr7", "host_data"],
	"nitro": ["pcr3", "pcr4"],
	"sgx": ["report_data"],
	"snp": ["host_data"],
	"tdx": ["rtmr1", "mrconfigid"],
}

place := "/context/evidence/claims/measurements"

of_kind(kind, names) := json.patch(shown, [
	{"op": "replace", "path": "/resource/id", "value": kind},
	{"op": "replace", "path": "/context/evidence/claims/kind", "value": kind},
	{"op": "replace", "path": "/context/evidence/claims/measurements", "value": {name: zero | some name in names}},
])

lax(kind, names) := knowing({"lax": {"kind": kind, "measurements": {name: {zero: "seen"} | some name in names}}})

# What values may say of whether they name what runs, and whether they accept anything then.
unmeasured := [[{}, false], [{"unmeasured": true}, true], [{"unmeasured": "true"}, false], [{"unmeasured": {}}, false]]

test_values_that_do_not_name_what_runs_accept_nothing_unless_they_say_so if {
	every word in unmeasured {
		bare := knowing({"lax": object.union({"measurements": {}}, word[0])})
		made := attestation.decision with input as shown with data.data.attestation as bare
		made.allow == word[1]
		count({"measurements_match"} & samples.codes(made)) == count({word[1], true}) - 1
	}
}

test_measurements_that_others_choose_do_not_name_what_runs if {
	every kind, names in beside {
		made := attestation.decision with input as of_kind(kind, names) with data.data.attestation as lax(kind, names)
		"measurements_match" in samples.codes(made)
		every telling in attestation.telling[kind] {
			named := json.patch(of_kind(kind, names), [{"op": "add", "path": concat("/", [place, telling]), "value": zero}])
			values := lax(kind, array.concat(names, [telling]))
			told := attestation.decision with input as named with data.data.attestation as values
			not "measurements_match" in samples.codes(told)
		}
	}
}

test_a_least_version_that_is_no_number_is_reached_by_none if {
	every least in [null, false, "0", [], {}] {
		changed := knowing({"lax": {"versions": {"firmware0": least}}})
		made := attestation.decision with input as shown with data.data.attestation as changed
		samples.codes(made) == {"versions_sufficient"}
	}
}

test_a_list_that_is_there_is_not_for_anybody_else if {
	every list in [null, {}, [], "homes", false] {
		every part, code in {"segments": "reference_known", "roles": "reference_known", "platforms": "platform_allowed"} {
			changed := knowing({"lax": {part: list}})
			made := attestation.decision with input as shown with data.data.attestation as changed
			code in samples.codes(made)
		}
	}
}

test_a_time_that_is_none_is_not_kept if {
	every seconds in [null, "120", {}, []] {
		changed := object.union(data.data.attestation, {"challenge_seconds": seconds})
		made := attestation.decision with input as shown with data.data.attestation as changed
		"challenge_fresh" in samples.codes(made)
	}
}

test_a_platform_is_one_subjects_unless_values_let_others_have_it if {
	others := samples.put(shown, "/context/platform/others", 1)
	every known in [object.union(shipped, {"platform_others": 0}), object.remove(shipped, {"platform_others"})] {
		values := object.union(object.remove(data.data.attestation, {"references"}), {"references": {"one": known}})
		attestation.decision.allow with input as shown with data.data.attestation as values
		decision := attestation.decision with input as others with data.data.attestation as values
		samples.codes(decision) == {"platform_unshared"}
		decision.obligations == {}
		about(decision, "platform_unshared") == {["platform.others", "1", ["at most 0"]]}
	}
	every most in [null, "1000", true, [], {}] {
		changed := knowing({"lax": {"platform_others": most}})
		made := attestation.decision with input as shown with data.data.attestation as changed
		samples.codes(made) == {"platform_unshared"}
	}
}

test_no_exception_waives_what_evidence_must_show if {
	excepted := samples.put(shown, "/context/exceptions", {"exc-1": {
		"subject": shown.subject.id,
		"resource": shown.resource.id,
		"action": shown.action.name,
		"waives": {code: true | some code in attestation.required with input as shown},
		"reason": "for now",
		"approver": "somebody",
		"starts_at": 0,
		"ends_at": 9999999999,
	}})
	every code, breaks in broken {
		every change in breaks {
			waived := samples.put(excepted, change[0], change[1])
			decision := attestation.decision with input as waived with data.data.limits.exception_days_maximum as 999999
			code in samples.codes(decision)
		}
	}
}

test_without_the_count_nobody_is_alone if {
	decision := attestation.decision with input as samples.without(shown, "/context/platform")
	samples.codes(decision) == {"platform_unshared"}
}

test_which_platform_it_is_contradicts_no_values_that_are_otherwise_met if {
	both := knowing({"a": {"attributes": {"bank": {"sha384": true}}}, "b": {"platforms": {"00": "house 7"}}})
	decision := attestation.decision with input as shown with data.data.attestation as both
	samples.codes(decision) == {"platform_allowed"}
	decision.obligations == {}
}
