package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

# Who may do what, written out once more: kind and roles by action.
granted := {
	"access:search": ["search", {"gateway"}],
	"attachment:list": ["attachment", {"administrator", "operator"}],
	"attachment:record": ["attachment", {"administrator", "operator"}],
	"attachment:remove": ["attachment", {"administrator", "operator"}],
	"attestation:challenge": ["attestation", set()],
	"attestation:read": ["attestation", {"administrator", "operator"}],
	"behaviour:read": ["behaviour", {"administrator", "operator"}],
	"behaviour:report": ["behaviour", {"gateway"}],
	"budget:lease": ["budget", {"gateway"}],
	"budget:read": ["budget", {"administrator", "auditor", "operator"}],
	"capability:introspect": ["capability", {"administrator", "aggregator", "gateway"}],
	"capability:revoke": ["capability", {"administrator"}],
	"certificate:issue": ["certificate", set()],
	"changes:read": ["changes", {"administrator", "auditor", "author", "operator"}],
	"console:sign_in": ["console", {"administrator", "auditor", "author", "operator"}],
	"decision:list": ["decision_log", {"administrator", "auditor", "author", "operator"}],
	"decision:read": ["decision", {"administrator", "auditor", "author", "operator"}],
	"device:list": ["device", {"administrator", "operator"}],
	"device:read": ["device", {"administrator", "operator"}],
	"device:rotate_key": ["device", set()],
	"device:set_status": ["device", set()],
	"evaluation:ask": ["evaluation", {"gateway"}],
	"events:read": ["events", {"administrator", "aggregator", "gateway", "router"}],
	"exception:grant": ["exception", set()],
	"exception:list": ["exception", {"administrator", "author", "operator"}],
	"exception:revoke": ["exception", {"administrator"}],
	"hold:list": ["hold", {"administrator", "operator"}],
	"hold:release": ["hold", {"administrator"}],
	"identity:resolve": ["identifier", {"administrator", "aggregator", "auditor", "gateway", "operator"}],
	"key:read": ["key", {"administrator", "operator"}],
	"key:rotate": ["key", {"administrator"}],
	"key:withdraw": ["key", {"administrator"}],
	"metrics:read": ["metrics", {"administrator", "operator"}],
	"model:read": ["model_version", {"administrator", "aggregator", "auditor", "gateway", "operator"}],
	"model:register": ["model_version", set()],
	"model:withdraw": ["model_version", {"administrator"}],
	"policy:publish": ["policy", set()],
	"policy:read": ["policy", {"administrator", "author", "operator"}],
	"policy:rollback": ["policy", set()],
	"policy:shadow": ["policy", {"administrator", "author"}],
	"policy:try": ["policy", {"administrator", "author"}],
	"privacy:read": ["privacy", {"administrator", "auditor", "operator"}],
	"round:create": ["round", {"aggregator"}],
	"round:rollback": ["round", {"administrator", "operator"}],
	"secret:list": ["secret", {"administrator", "operator"}],
	"secret:register": ["secret", {"administrator"}],
	"secret:withdraw": ["secret", {"administrator"}],
	"segments:reach": ["segments", {"administrator", "operator"}],
	"segments:table": ["segments", {"administrator", "operator", "router"}],
	"site:report": ["site", set()],
	"status_list:read": ["status_list", {"aggregator", "gateway"}],
	"svid:issue": ["svid", set()],
	"token:issue": ["enrolment_token", {"administrator"}],
	"updates:report": ["round", set()],
}

roles := {"administrator", "aggregator", "auditor", "author", "consumer", "gateway", "operator", "router", "trainer"}

statuses := {
	"administrator": {"active", "quarantined", "revoked"},
	"aggregator": set(),
	"auditor": set(),
	"author": set(),
	"consumer": set(),
	"gateway": set(),
	"operator": {"active", "quarantined"},
	"router": set(),
	"trainer": set(),
}

setting(role, status) := samples.put(
	samples.administering(role, "device:set_status", "device"),
	"/resource/properties",
	{"owner": "dev-other", "status": status},
)

mine(action, kind, status) := json.patch(samples.administering("trainer", action, kind), [
	{"op": "add", "path": "/resource/properties/owner", "value": me},
	{"op": "replace", "path": "/subject/properties/segment", "value": "homes"},
	{"op": "replace", "path": "/subject/properties/status", "value": status},
])

test_every_action_is_known if {
	object.keys(admin.actions) == object.keys(granted)
	every action, expected in granted {
		admin.actions[action].kind == expected[0]
	}
}

test_each_role_may_do_what_is_written_here if {
	every action, expected in granted {
		allowed := {role |
			some role in roles
			admin.decision.allow with input as samples.administering(role, action, expected[0])
		}
		allowed == expected[1]
	}
}

test_a_thing_of_another_kind_is_not_touched if {
	every action, expected in granted {
		every role in expected[1] {
			codes := samples.codes(admin.decision) with input as samples.administering(role, action, "model")
			codes == {"resource_kind"}
		}
	}
}

test_a_status_is_given_by_who_may_give_it if {
	every role in roles {
		given := {status |
			some status in {"active", "quarantined", "revoked"}
			admin.decision.allow with input as setting(role, status)
		}
		given == statuses[role]
	}
}

test_an_operator_does_not_revoke if {
	samples.codes(admin.decision) == {"status_granted"} with input as setting("operator", "revoked")
}

test_a_status_that_is_none_is_given_by_nobody if {
	every status in [null, "", "unknown", true, ["active"], {"active": true}] {
		every role in roles {
			codes := samples.codes(admin.decision) with input as setting(role, status)
			"status_granted" in codes
		}
	}
	unsaid := samples.administering("administrator", "device:set_status", "device")
	samples.codes(admin.decision) == {"status_granted"} with input as unsaid
}

test_what_is_ones_own_needs_no_role if {
	every action, kind in {
		"attestation:challenge": "attestation",
		"capability:introspect": "capability",
		"capability:revoke": "capability",
		"certificate:issue": "certificate",
		"device:read": "device",
		"device:rotate_key": "device",
	} {
		admin.decision.allow with input as mine(action, kind, "active")
		every status in ["quarantined", "revoked"] {
			codes := samples.codes(admin.decision) with input as mine(action, kind, status)
			codes == {"subject_active"}
		}
		foreign := samples.put(mine(action, kind, "active"), "/resource/properties/owner", "dev-other")
		not admin.decision.allow with input as foreign
	}
}

test_who_asks_lists_its_own_decisions_even_in_quarantine if {
	every status in ["active", "quarantined"] {
		admin.decision.allow with input as mine("decision:list", "decision_log", status)
	}
	samples.codes(admin.decision) == {"subject_unrevoked"} with input as mine("decision:list", "decision_log", "revoked")
}

test_a_device_reads_its_own_behaviour_even_in_quarantine if {
	every status in ["active", "quarantined"] {
		admin.decision.allow with input as mine("behaviour:read", "behaviour", status)
	}
	samples.codes(admin.decision) == {"subject_unrevoked"} with input as mine("behaviour:read", "behaviour", "revoked")
	foreign := samples.put(mine("behaviour:read", "behaviour", "active"), "/resource/properties/owner", "dev-other")
	samples.codes(admin.decision) == {"network_allowed", "role_granted", "segment_allowed"} with input as foreign
}

test_nobody_else_lists_decisions_of_another_or_of_all if {
	foreign := samples.put(mine("decision:list", "decision_log", "active"), "/resource/properties/owner", "dev-other")
	samples.codes(admin.decision) == {"network_allowed", "role_granted", "segment_allowed"} with input as foreign
	everything := samples.put(mine("decision:list", "decision_log", "active"), "/resource/properties", {})
	samples.codes(admin.decision) == {"network_allowed", "role_granted", "segment_allowed"} with input as everything
}

test_a_log_is_no_decision if {
	every action, kind in {"decision:list": "decision", "decision:read": "decision_log"} {
		samples.codes(admin.decision) == {"resource_kind"} with input as mine(action, kind, "active")
		samples.codes(admin.decision) == {"resource_kind"} with input as samples.administering("operator", action, kind)
	}
}

test_nobody_gets_a_certificate_for_another if {
	every role in roles {
		asked := samples.put(
			samples.administering(role, "certificate:issue", "certificate"),
			"/resource/properties/owner",
			"dev-other",
		)
		samples.codes(admin.decision) == {"owner"} with input as asked
	}
}

test_a_device_hands_in_its_own_sites_decisions_and_no_others if {
	every status in ["active", "quarantined"] {
		admin.decision.allow with input as mine("site:report", "site", status)
	}
	samples.codes(admin.decision) == {"subject_unrevoked"} with input as mine("site:report", "site", "revoked")
	foreign := samples.put(mine("site:report", "site", "active"), "/resource/properties/owner", "dev-other")
	samples.codes(admin.decision) == {"owner"} with input as foreign
	every role in roles {
		not admin.decision.allow with input as samples.administering(role, "site:report", "site")
	}
}

test_nobody_gives_themselves_a_status if {
	released := samples.put(mine("device:set_status", "device", "active"), "/resource/properties/status", "active")
	not admin.decision.allow with input as released
}
