package ztfm.lib.privacy

import data.ztfm.privacy

# METADATA
# title: Charged
# description: What has to be shown before anything is charged for a model; nothing of one without a plan.
# scope: document
charged(model) := {"privacy_budget_left", "privacy_cost_bounded", "privacy_known"} if {
	privacy.planned(model)
} else := set()

# METADATA
# title: Opened
# description: The same of a round that is opened; where devices add the noise, they are charged later.
# scope: document
opened(model) := set() if mode_of(model) == "local"

else := charged(model)

# METADATA
# title: Arrived
# description: What has to be shown of an update that has arrived; where devices add the noise, that it can be there.
# scope: document
arrived(model) := {"update_noised"} if {
	privacy.planned(model)
	not is_summed(model)
} else := set()

# METADATA
# title: Is unplanned
# description: Whether it is certain that a model has no plan.
is_unplanned(model) if privacy.planned(model) == false
