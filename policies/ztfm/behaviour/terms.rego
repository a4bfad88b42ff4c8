# METADATA
# title: Behaviour
# description: |
#   How the behaviour of subjects is judged: what evidence is worth, and whom it is compared with. How much of it is too
#   much, the response policy says. The control plane asks once for each policy revision. While it has no answer, it
#   judges nothing, and admits nothing that would have to be judged.
# schemas:
#   - input: schema.input.behaviour
package ztfm.behaviour

import data.data.behaviour as kept

# METADATA
# title: Terms
# description: |
#   By which the channels that are asked about are judged. Data of another form, or that gives one of them no weight,
#   are no terms.
terms := kept if {
	is_object(kept)
	count(input.channels) > 0
	every channel in input.channels {
		is_number(kept.weights[channel])
	}
}
