# METADATA
# title: Privacy
# description: |
#   Which models are trained with noise, how much of it, and what of a data set may be spent. The control plane asks
#   once for each policy revision, and tells in each submission's facts what it would cost. While it has no answer,
#   nothing is known of any cost, and models with a plan are trained by nobody.
# schemas:
#   - input: schema.input.privacy
package ztfm.privacy

import data.data.privacy as kept

# METADATA
# title: Terms
# description: |
#   The plans that can be carried out, by model. What is not told here has no cost that is known, which denies.
terms := {"plans": {id: plan |
	some id, plan in plans
	plan.terms.mode in input.modes
	not plan.terms.data_set in mixed
}} if {
	count(input.modes) > 0
}

# METADATA
# title: Mixed
# description: |
#   The data sets that devices' and aggregators' noise both draw on: these have an account each, and neither would know
#   what the other spent of one budget.
mixed := drawn_on("local") & drawn_on("central")

# METADATA
# title: Drawn on
# description: The data sets of the models in a mode.
drawn_on(mode) := {model.data_set | some model in kept.models; model.mode == mode}

# METADATA
# title: Plans
# description: |
#   What each model's updates are clipped to, what noise is added, and the budget that this is charged to. A model whose
#   data set is not stated, or not whole, is absent, which denies.
# scope: document
plans[id] := {"terms": noise(model, set), "budget": {"epsilon": set.epsilon, "window_days": set.window_days}} if {
	some id, model in kept.models
	set := kept.data_sets[model.data_set]
}

# METADATA
# title: Noise
# description: What has to be done for a model that is trained on a data set.
noise(model, set) := object.union(
	{
		"clip_norm": model.clip_norm,
		"data_set": model.data_set,
		"delta": set.delta,
		"mode": model.mode,
		"noise_multiplier": model.noise_multiplier,
	},
	object.filter(model, {"sampling"}),
)

# METADATA
# title: Planned
# description: |
#   Whether a model has to be trained with noise. Where that cannot be read, every model has to, and none can be.
# scope: document
planned(id) := false if {
	is_object(kept.models)
	is_string(id)
	not named(id)
} else := true

# METADATA
# title: Named
# description: Whether anything at all stands for a model's plan.
named(id) if type_name(kept.models[id]) != ""
