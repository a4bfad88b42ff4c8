# METADATA
# title: Rounds
# description: What must be true of the federation round that a request belongs to.
package ztfm.lib.rounds

# METADATA
# title: Proven
# description: |
#   The requirements on the round that hold. A difference is undefined for anything but numbers, so it proves types
#   that a comparison alone would not: null sorts before every number, and a string after.
# scope: document
proven contains "round_known" if {
	is_string(input.context.round.id)
	input.context.round.id != ""
}

proven contains "round_member" if input.context.round.member == true

proven contains "round_open" if {
	input.context.round.state == "open"
	input.context.time - input.context.round.opens_at >= 0
	input.context.round.closes_at - input.context.time > 0
}

proven contains "round_for_model" if input.context.round.model == input.resource.id

proven contains "submission_outstanding" if input.context.round.submissions == 0
