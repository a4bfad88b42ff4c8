package ztfm.admin

import data.ztfm.lib.privacy

# METADATA
# title: Opened model
# description: The model of a round that is opened; null where none is named, which needs noise that nobody can add.
# scope: document
# schemas:
#   - input: schema.input.admin
default opened_model := null

opened_model := input.resource.properties.model

# METADATA
# title: Noised
# description: What has to be shown of the aggregator's noise before a round is opened; nothing of anything else.
# scope: document
# schemas:
#   - input: schema.input.admin
default noised := set()

noised := privacy.opened(opened_model) if input.action.name == "round:create"

# METADATA
# title: Paid for
# description: What is shown of it.
# schemas:
#   - input: schema.input.admin
proven contains code if {
	input.action.name == "round:create"
	some code in privacy.proven(opened_model)
}

# METADATA
# title: Noise
# description: |
#   The noise that the aggregator adds to the sum of a round, and that it takes the mean: noise hides what one update
#   can move, and only of the mean it is known how much that is.
# scope: document
# schemas:
#   - input: schema.input.admin
default noise := {}

noise := {"aggregation": "mean", "privacy": privacy.terms_of(opened_model)} if {
	input.action.name == "round:create"
	privacy.is_summed(opened_model)
}
