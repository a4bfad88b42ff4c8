package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

layers := {
	"administrator": {"base", "tenant", "site"},
	"aggregator": set(),
	"author": {"base"},
	"consumer": set(),
	"gateway": set(),
	"operator": set(),
	"trainer": set(),
}

changing(role, action, layer) := samples.put(
	samples.administering(role, action, "policy"),
	"/resource/properties",
	{"layer": layer},
)

test_policies_of_a_layer_are_changed_by_who_may_change_them if {
	every role, expected in layers {
		every action in ["policy:publish", "policy:rollback"] {
			given := {layer |
				some layer in {"base", "tenant", "site"}
				admin.decision.allow with input as changing(role, action, layer)
			}
			given == expected
		}
	}
}

test_an_author_of_the_base_changes_no_site if {
	samples.codes(admin.decision) == {"layer_granted"} with input as changing("author", "policy:publish", "site")
}

test_a_layer_that_is_none_is_changed_by_nobody if {
	every layer in [null, "", "unknown", true, ["base"], {"base": true}] {
		every role, _ in layers {
			codes := samples.codes(admin.decision) with input as changing(role, "policy:publish", layer)
			"layer_granted" in codes
		}
	}
	unsaid := samples.administering("administrator", "policy:publish", "policy")
	samples.codes(admin.decision) == {"layer_granted"} with input as unsaid
}
