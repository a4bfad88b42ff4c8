# METADATA
# title: Limits
# description: |
#   What the house lowers, by question id: what is trained must keep to it, and what goes out is held to it. A question
#   about a model that is not listed has no limits, for it is vetoed anyway.
# entrypoint: true
package site.limits

# METADATA
# title: Answers
# description: The limits by question id.
# scope: document
answers[id] := limits if {
	some questions in input
	some id, facts in questions
	limits := of(facts)
}

# METADATA
# title: Of
# description: |
#   The limits on a question: what one update may spend is what the house's owner set, and no more than is left of the
#   month's budget.
of(facts) := {"epsilon": epsilon, "max_examples": house.examples_maximum, "max_norm": house.norm_maximum} if {
	house := data.site.data.house.models[facts.resource.id]
	left := house.epsilon_month - facts.context.epsilon.month
	epsilon := max([0, min([house.epsilon_update, left])])
	facts.action.name == "model_in"
} else := {
	"epsilon": house.epsilon_update,
	"max_examples": house.examples_maximum,
	"max_norm": house.norm_maximum,
} if {
	house := data.site.data.house.models[facts.resource.id]
} else := {}
