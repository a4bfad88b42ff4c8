# METADATA
# title: Privacy of a model
# description: |
#   What must be true of the noise that a model is trained with, and of the budget that it is charged to. What the
#   control plane tells counts only where it was computed for the plan that this policy has.
package ztfm.lib.privacy

import data.data.resources
import data.ztfm.privacy

# METADATA
# title: Proven
# description: The requirements that hold of a model. Of one without a plan none is asked for, and none is looked at.
# scope: document
proven(model) := {code |
	some code in {"privacy_budget_left", "privacy_cost_bounded", "privacy_known", "update_noised"}
	holds(code, model)
} if {
	privacy.planned(model)
} else := set()

# METADATA
# title: Mode
# description: Who adds the noise.
mode_of(model) := privacy.plans[model].terms.mode if privacy.planned(model)

# METADATA
# title: Is summed
# description: Whether the aggregator adds the noise, to the sum.
is_summed(model) if mode_of(model) == "central"

# METADATA
# title: Terms of
# description: What has to be done to updates for a model.
terms_of(model) := privacy.plans[model].terms

# METADATA
# title: Holds
# description: Whether a requirement holds of a model.
# scope: document
holds("privacy_known", model) if is_known(model)

holds("privacy_budget_left", model) if {
	is_known(model)
	fact := input.context.privacy
	is_number(fact.epsilon_spent)
	is_number(fact.epsilon_after)
	fact.epsilon_spent >= 0
	fact.epsilon_after >= fact.epsilon_spent
	fact.epsilon_after <= privacy.plans[model].budget.epsilon
	is_guarantee(fact.epsilon_after)
	is_number(fact.charges)
	fact.charges >= 0
}

holds("privacy_budget_left", model) if was_charged(model)

holds("privacy_cost_bounded", model) if {
	is_known(model)
	alone := input.context.privacy.epsilon_alone
	is_number(alone)
	alone >= 0
	most := object.get(resources, [model, "limits", "epsilon"], privacy.plans[model].budget.epsilon)
	is_number(most)
	alone <= most
}

holds("privacy_cost_bounded", model) if was_charged(model)

holds("update_noised", model) if {
	terms := privacy.plans[model].terms
	input.context.capability.privacy == terms
	plausible(input.context.evidence.norm, input.context.evidence.parameters, terms)
}

# METADATA
# title: Is guarantee
# description: Whether an epsilon says anything; a million stands for all that are larger, and for none at all.
is_guarantee(epsilon) if epsilon < 1000000

# METADATA
# title: Was charged
# description: Whether the round of a submission was charged when it was opened, for the aggregator's noise.
was_charged(model) if {
	is_known(model)
	is_summed(model)
	input.action.name == "gradient_submission"
	input.context.privacy.round_charged == true
}

# METADATA
# title: Is known
# description: Whether what it costs is known, and by the very plan that this policy has.
is_known(model) if {
	fact := input.context.privacy
	fact.known == true
	fact.cause == ""
	{"terms": fact.terms, "budget": fact.budget} == privacy.plans[model]
}
