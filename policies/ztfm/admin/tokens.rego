package ztfm.admin

import data.data.roles
import data.data.segments
import data.ztfm.lib.differing

# METADATA
# title: Named roles
# description: The roles that tokens are to be issued for; of anything but a list, none.
# scope: document
# schemas:
#   - input: schema.input.admin
named_roles contains role if {
	is_array(input.resource.properties.roles)
	some role in input.resource.properties.roles
}

# METADATA
# title: Fitting
# description: The roles that have a place in the segment that tokens are to be issued for.
# scope: document
# schemas:
#   - input: schema.input.admin
fitting contains role if {
	some role, place_of in segments[input.resource.properties.segment].roles
	place_of == true
}

proven contains "roles_known" if {
	count(named_roles) > 0
	every role in named_roles { roles[role] }
}

proven contains "roles_fit_segment" if {
	count(named_roles) > 0
	count(named_roles - fitting) == 0
}

differences.roles_known contains differing.difference("resource.properties.roles", role, object.keys(roles)) if {
	some role in named_roles
	not roles[role]
}

differences.roles_fit_segment contains differing.difference("resource.properties.roles", role, fitting) if {
	some role in (named_roles - fitting)
}
