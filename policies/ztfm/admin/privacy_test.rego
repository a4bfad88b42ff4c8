package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

opening_of(model) := samples.put(
	samples.administering("aggregator", "round:create", "round"),
	"/resource/properties",
	{"model": model},
)

summed := samples.put(opening_of("smart-home-intents"), "/context/privacy", samples.costs("central"))

test_a_round_is_opened_with_noise_and_its_mean_taken if {
	decision := admin.decision with input as summed with data.data.privacy as samples.noise_of("central")
		with data.data.resources as {"smart-home-intents": {"aggregation": "nnm"}}
	decision.allow
	decision.obligations == {"aggregation": "mean", "may_assert": [], "privacy": samples.noise_terms("central")}
}

test_a_round_whose_noise_is_not_paid_for_is_not_opened if {
	plan := samples.noise_of("central")
	unpaid := samples.put(summed, "/context/privacy/epsilon_after", 2.5)
	over := admin.decision with input as unpaid with data.data.privacy as plan
	samples.codes(over) == {"privacy_budget_left"}
	later := samples.now + 86400
	dated := admin.decision with input as samples.put(unpaid, "/context/privacy/returns_at", later)
		with data.data.privacy as plan
	[later] == [reason.until | some reason in dated.reasons]
	untold := admin.decision with input as opening_of("smart-home-intents") with data.data.privacy as plan
	samples.codes(untold) == {"privacy_budget_left", "privacy_cost_bounded", "privacy_known"}
}

test_a_round_whose_devices_add_the_noise_is_opened_without if {
	decision := admin.decision with input as opening_of("smart-home-intents")
		with data.data.privacy as samples.noise_of("local")
	decision.allow
	object.get(decision.obligations, "privacy", null) == null
}

test_a_round_of_no_named_model_is_not_opened if {
	unsaid := samples.put(opening_of("a-model"), "/resource/properties", {})
	not admin.decision.allow with input as unsaid
	every model in [null, 1, ["a-model"], {}] {
		not admin.decision.allow with input as opening_of(model)
	}
}

test_whoever_reads_an_account_of_their_own_needs_no_role if {
	every status in ["active", "quarantined"] {
		admin.decision.allow with input as mine("privacy:read", "privacy", status)
	}
	foreign := samples.put(mine("privacy:read", "privacy", "active"), "/resource/properties/owner", "dev-other")
	samples.codes(admin.decision) == {"network_allowed", "role_granted", "segment_allowed"} with input as foreign
}

test_only_a_round_needs_noise if {
	every action, kind in {"device:read": "device", "policy:publish": "policy"} {
		asked := samples.put(
			samples.administering("administrator", action, kind),
			"/resource/properties",
			{"layer": "base", "model": "smart-home-intents"},
		)
		decision := admin.decision with input as asked with data.data.privacy as samples.noise_of("central")
		decision.allow
		object.get(decision.obligations, "privacy", null) == null
	}
}
