package site.rules

# METADATA
# title: Purpose
# description: Nothing comes in to be served from here.
required contains "purpose_training" if {
	not is_aside
	not is_only_going_out
}

# METADATA
# title: Is only going out
# description: Whether surely no model comes in.
is_only_going_out if input.action.name == "update_out"

proven contains "purpose_training" if input.context.purpose == "training"
