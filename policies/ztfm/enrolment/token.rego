package ztfm.enrolment

proven contains "token_valid" if input.context.token.valid == true

proven contains "token_unused" if input.context.token.uses == 0

proven contains "token_unexpired" if {
	input.context.time >= 0
	input.context.token.expires_at - input.context.time > 0
}

# METADATA
# title: Offered roles
# description: The roles that what was shown may bring; a token was issued for those that it names.
# scope: document
offered_roles contains role if {
	kind == "token"
	some role in input.context.token.roles
}

# METADATA
# title: Offered segments
# description: The segments that what was shown may lead to.
# scope: document
offered_segments contains input.context.token.segment if kind == "token"
