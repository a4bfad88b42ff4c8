package ztfm.lib.confidentiality

import data.data.confidentiality as kept

# METADATA
# title: Peopled
# description: |
#   What is required of the members of a round of a model. Whoever opens it says who they are: one device among that
#   many of its own would be in a group of these.
# scope: document
peopled(name) := {"members_many"} if mode_of(name) == "grouped"

else := set()

# METADATA
# title: Is many
# description: Whether so many members are enough that nobody is in a group with whoever the aggregator wants.
is_many(members) if {
	is_number(members)
	members >= kept.groups_minimum * kept.group_size
}
