package ztfm.enrolment_test

import data.ztfm.enrolment
import data.ztfm.lib.samples_test as samples

# What breaks each requirement that every newcomer must meet, and the others that fall with it.
broken := {
	"attestation_sufficient": [["/subject/properties/segment", 1]],
	"network_allowed": [["/context/network/address", "1.1.1.1"]],
	"proof_verified": [["/context/proof/verified", false], ["/context/proof", {}]],
	"resource_kind": [["/resource/type", "round"], ["/subject/type", "user"]],
	"roles_fit_segment": [["/subject/properties/roles", ["aggregator"]], ["/subject/properties/roles", []]],
	"roles_granted": [
		["/subject/properties/roles", ["trainer", "operator"]],
		["/subject/properties/roles", []],
		["/subject/properties/roles", "trainer"],
	],
	"segment_granted": [["/subject/properties/segment", "guests"]],
}

shown := {"certificate": samples.certifying, "credential": samples.crediting, "token": samples.enrolling}

test_a_newcomer_with_any_one_kind_of_evidence_may_join if {
	every kind, asked in shown {
		decision := enrolment.decision with input as asked
		decision.allow
		decision.obligations == {}
		decision.ttl_seconds == 30
		decision.rules == enrolment.always | enrolment.evidence[kind]
	}
}

test_each_requirement_is_missed_whatever_is_shown if {
	every asked in shown {
		every code, breaks in object.remove(broken, {"attestation_sufficient"}) {
			every change in breaks {
				decision := enrolment.decision with input as samples.put(asked, change[0], change[1])
				not decision.allow
				code in samples.codes(decision)
				decision.ttl_seconds == 0
			}
		}
	}
}

test_every_requirement_is_tested if {
	enrolment.always == object.keys(broken)
}

test_two_kinds_of_evidence_are_none if {
	every kind, asked in shown {
		every other, shows in object.remove(shown, {kind}) {
			both := samples.put(asked, sprintf("/context/%s", [other]), shows.context[other])
			decision := enrolment.decision with input as both
			samples.codes(decision) == {"evidence_single"}
		}
	}
	every nothing in [null, false, {}, "", 0] {
		decision := enrolment.decision with input as samples.put(samples.enrolling, "/context/credential", nothing)
		samples.codes(decision) == {"evidence_single"}
	}
}

test_no_evidence_is_none if {
	every kind, asked in shown {
		decision := enrolment.decision with input as samples.without(asked, sprintf("/context/%s", [kind]))
		samples.codes(decision) == {"evidence_single"}
	}
}

test_evidence_of_one_kind_is_none_of_another if {
	every kind, asked in shown {
		every other in object.keys(shown) - {kind} {
			decision := enrolment.decision with input as json.patch(asked, [{
				"op": "move",
				"from": sprintf("/context/%s", [kind]),
				"path": sprintf("/context/%s", [other]),
			}])
			not decision.allow
			enrolment.evidence[other] & samples.codes(decision) != set()
		}
	}
}

test_a_segment_that_nobody_drew_takes_nobody if {
	every asked in shown {
		decision := enrolment.decision with input as samples.put(asked, "/subject/properties/segment", "nowhere")
		samples.codes(decision) == {"network_allowed", "roles_fit_segment", "segment_granted"}
	}
}

proven_by(level, age) := samples.put(
	samples.enrolling,
	"/context/attestation",
	{"level": level, "age_seconds": age},
)

wanting(level) := object.union(data.data.enrolment, {"attestation": {"any": "none", "homes": level}})

test_where_a_level_is_wanted_a_fresh_proof_of_it_is_needed if {
	every level in ["software", "hardware"] {
		without := enrolment.decision with input as samples.enrolling with data.data.enrolment as wanting(level)
		samples.codes(without) == {"attestation_sufficient"}
		with_it := enrolment.decision with input as proven_by(level, 900) with data.data.enrolment as wanting(level)
		with_it.allow
		every age in samples.not_numbers | {-1, 900.5} {
			old := enrolment.decision with input as proven_by(level, age) with data.data.enrolment as wanting(level)
			samples.codes(old) == {"attestation_sufficient"}
		}
	}
}

test_a_weaker_level_or_an_unknown_one_is_not_enough if {
	every level in ["none", "software", "", "tee", null, 2, true, ["hardware"]] {
		decision := enrolment.decision with input as proven_by(level, 1) with data.data.enrolment as wanting("hardware")
		samples.codes(decision) == {"attestation_sufficient"}
	}
}

test_a_level_that_nobody_knows_is_never_proven if {
	every level in ["any", "", null, 0, true] {
		decision := enrolment.decision with input as proven_by("hardware", 1) with data.data.enrolment as wanting(level)
		not decision.allow
	}
}

test_an_empty_input_is_denied if {
	decision := enrolment.decision with input as {}
	samples.codes(decision) == {"evidence_single"}
}
