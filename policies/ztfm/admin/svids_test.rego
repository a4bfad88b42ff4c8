package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

# Whom each role's tokens may be for.
audiences := {
	"administrator": set(),
	"aggregator": {"gateway-1"},
	"auditor": set(),
	"author": set(),
	"consumer": {"gateway-1"},
	"gateway": {"aggregator-1"},
	"operator": set(),
	"router": set(),
	"trainer": {"aggregator-1"},
}

token(role, named) := samples.put(
	samples.administering(role, "svid:issue", "svid"),
	"/resource/properties",
	{"owner": me, "audiences": named},
)

mine_for(named) := json.patch(token("trainer", named), [
	{"op": "replace", "path": "/subject/properties/segment", "value": "homes"},
	{"op": "replace", "path": "/context/network/address", "value": "192.168.1.20"},
])

test_a_role_gets_tokens_for_its_own_audiences_alone if {
	every role, expected in audiences {
		able := {audience |
			some audience in ["aggregator-1", "gateway-1", "payroll", ""]
			admin.decision.allow with input as token(role, [audience])
		}
		able == expected
	}
}

test_every_audience_must_be_granted if {
	admin.decision.allow with input as mine_for(["aggregator-1"])
	codes := samples.codes(admin.decision) with input as mine_for(["aggregator-1", "payroll"])
	codes == {"audience_granted"}
}

test_whom_it_is_for_is_a_list_of_names if {
	every named in [null, "", "aggregator-1", true, 1, [], {}, {"a": "aggregator-1"}, [null], [["aggregator-1"]]] {
		codes := samples.codes(admin.decision) with input as mine_for(named)
		codes == {"audience_granted"}
	}
	unsaid := samples.without(mine_for([]), "/resource/properties/audiences")
	samples.codes(admin.decision) == {"audience_granted"} with input as unsaid
}

test_nobody_gets_a_token_in_the_name_of_another if {
	foreign := samples.put(mine_for(["aggregator-1"]), "/resource/properties/owner", "dev-other")
	samples.codes(admin.decision) == {"owner"} with input as foreign
}

test_who_is_set_apart_gets_no_token if {
	every status in ["quarantined", "revoked"] {
		asked := samples.put(mine_for(["aggregator-1"]), "/subject/properties/status", status)
		samples.codes(admin.decision) == {"subject_active"} with input as asked
	}
}

test_a_token_is_asked_for_from_a_network_of_the_segment if {
	away := samples.put(mine_for(["aggregator-1"]), "/context/network/address", "8.8.8.8")
	samples.codes(admin.decision) == {"network_allowed"} with input as away
}

test_how_long_it_lives_is_a_limit_and_nothing_else_has_one if {
	limits := object.union(data.data.limits, {"svid_seconds": {"certificate:issue": 600, "svid:issue": 30}})
	issued := admin.decision with data.data.limits as limits with input as mine_for(["aggregator-1"])
	issued.obligations == {"lifetime_seconds": 30, "may_assert": []}
	certified := admin.decision with data.data.limits as limits
		with input as mine("certificate:issue", "certificate", "active")
	certified.obligations == {"lifetime_seconds": 600, "may_assert": []}
	read := admin.decision with input as reading
	not "lifetime_seconds" in object.keys(read.obligations)
}
