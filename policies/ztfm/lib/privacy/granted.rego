package ztfm.lib.privacy

import data.data.resources
import data.ztfm.privacy

# METADATA
# title: Obligations
# description: |
#   What a device has to do with its update. Where it does not add noise itself, what it sends is bounded by what the
#   aggregator clips to.
# scope: document
obligations(model) := {} if not privacy.planned(model)

else := {"privacy": terms_of(model)} if mode_of(model) == "local"

else := {"max_norm": min([bound, terms_of(model).clip_norm])} if {
	mode_of(model) == "central"
	bound := object.get(resources, [model, "limits", "max_norm"], terms_of(model).clip_norm)
}

else := {}

# METADATA
# title: Unbounded
# description: The limits of a model that say nothing of its updates, for a device's noise is longer than they are.
# scope: document
unbounded(model) := set() if not privacy.planned(model)

else := {"max_norm"} if mode_of(model) == "local"

else := set()

# METADATA
# title: Dated
# description: A decision whose reason says when a budget that is used up has room again, where that is known.
# scope: document
dated(decision) := decision if decision.allow

else := object.union(decision, {"reasons": [object.union(reason, until(reason.code)) |
	some reason in decision.reasons
]}) if {
	returns_at
} else := decision

# METADATA
# title: Until
# description: When a requirement will be met by itself.
# scope: document
until("privacy_budget_left") := {"until": returns_at}

until(code) := {} if code != "privacy_budget_left"

# METADATA
# title: Returns at
# description: When the budget has room for one more; of a time that is over, nothing can be said.
returns_at := moment if {
	moment := input.context.privacy.returns_at
	is_number(moment)
	is_number(input.context.time)
	moment > input.context.time
}
