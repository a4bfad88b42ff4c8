package ztfm.lib.privacy_test

import data.ztfm.lib.privacy
import data.ztfm.lib.samples_test as samples

terms := {"clip_norm": 1, "noise_multiplier": 2}

test_the_norm_of_noise_of_so_many_values_is_plausible if {
	every norm in [200, 186, 214, 215, 185] {
		privacy.plausible(norm, 10000, terms)
	}
}

test_an_update_without_noise_or_with_more_is_not if {
	every norm in [0, 1, 10, 184.99, 215.01, 1e308] {
		not privacy.plausible(norm, 10000, terms)
	}
}

test_few_values_may_have_any_norm_down_to_nothing if {
	privacy.plausible(0, 49, terms)
	privacy.plausible(29, 49, terms)
	not privacy.plausible(29.1, 49, terms)
}

test_what_is_no_number_is_not_plausible if {
	every value in samples.not_numbers {
		not privacy.plausible(value, 10000, terms)
		not privacy.plausible(200, value, terms)
	}
	not privacy.plausible(200, 0, terms)
	not privacy.plausible(200, -10000, terms)
}

arriving(norm, shown) := json.patch(samples.admitting, [
	{"op": "add", "path": "/context/capability/privacy", "value": shown},
	{"op": "replace", "path": "/context/evidence/norm", "value": norm},
	{"op": "replace", "path": "/context/evidence/parameters", "value": 10000},
])

test_an_update_was_noised_as_its_capability_asked if {
	plan := samples.noise_of("local")
	asked := samples.noise_terms("local")
	"update_noised" in privacy.proven(model) with input as arriving(1200, asked) with data.data.privacy as plan
	every other in [{}, null, object.union(asked, {"noise_multiplier": 4})] {
		not "update_noised" in privacy.proven(model) with input as arriving(1200, other) with data.data.privacy as plan
	}
	not "update_noised" in privacy.proven(model) with input as arriving(1.5, asked) with data.data.privacy as plan
}
