# METADATA
# title: Capability
# description: What must be true of the capability that comes with an update.
package ztfm.lib.capability

import data.data.limits

# METADATA
# title: Proven
# description: The requirements on the capability that hold.
# scope: document
proven contains "capability_verified" if {
	input.context.capability.verified == true
	input.context.capability.cause == ""
}

proven contains "capability_unused" if input.context.capability.uses == 0

proven contains "capability_for_round" if input.context.capability.round == input.context.round.id

proven contains "capability_for_model" if input.context.capability.model == input.resource.id

proven contains "capability_for_segment" if {
	input.context.capability.segment == input.subject.properties.segment
}

proven contains "capability_norm_kept" if {
	is_number(input.context.capability.max_norm)
	is_number(input.context.evidence.norm)
	input.context.evidence.norm <= input.context.capability.max_norm
}

proven contains "capability_fresh" if {
	is_number(limits.capability_age_seconds)
	input.context.capability.age_seconds >= 0
	input.context.capability.age_seconds <= limits.capability_age_seconds
}
