# METADATA
# title: Behaviour
# description: |
#   What the control plane knows of a subject's behaviour: evidence against it (an e-value, at most 1 in the mean while
#   it is like its peers), and how many comparable peers' updates deviate as much as the one that has arrived (a
#   p-value).
package ztfm.lib.behaviour

import data.data.limits

# METADATA
# title: Proven
# description: |
#   The requirements on behaviour that hold. With too few comparable peers there is no p-value: then, and only then,
#   what bounds every update's evidence is enough.
# scope: document
proven contains "behaviour_admitted" if {
	input.context.behaviour.state in {"trusted", "watched"}
	evidence < too_much
}

proven contains "update_plausible" if {
	input.context.behaviour.p_value - limits.behaviour.p_minimum > 0
	input.context.behaviour.p_value <= 1
}

proven contains "update_plausible" if {
	not "p_value" in object.keys(input.context.behaviour)
	input.context.behaviour.comparable >= 0
	limits.behaviour.comparable_minimum - input.context.behaviour.comparable > 0
}

# METADATA
# title: Evidence
# description: The evidence against the subject; undefined for anything that is no number of 0 or more.
evidence := e_value if {
	e_value := input.context.behaviour.e_value
	is_number(e_value)
	e_value >= 0
}

# METADATA
# title: Too much
# description: |
#   The evidence from which a subject is quarantined. By Ville's inequality one that is like its peers ever reaches it
#   with a probability of alpha at most.
too_much := 1 / limits.behaviour.alpha

# METADATA
# title: Little
# description: Whether the evidence is so little that it holds nobody back.
is_little if limits.behaviour.release_e_value - evidence > 0

# METADATA
# title: Evidence of updates
# description: The evidence that updates alone are against the subject; undefined for anything that is no number.
evidence_of_updates := e_value if {
	e_value := input.context.behaviour.e_values.updates
	is_number(e_value)
}
