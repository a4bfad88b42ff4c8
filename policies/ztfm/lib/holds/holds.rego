# METADATA
# title: Holds
# description: |
#   What must be true of what alerts had held. A hold spares a request for which it is proven that it has ended, is of
#   another segment, or is of other actions; whatever cannot be read spares nothing.
package ztfm.lib.holds

# METADATA
# title: Proven
# description: |
#   The requirements on holds that are met. Nearly always nothing is held, and one look at all of it says so.
# scope: document
proven := {"action_not_held", "holds_known"} if {
	input.context.holds == {"current": {}, "known": true}
} else := shown

# METADATA
# title: Shown
# description: The same, shown one by one, where something is held or cannot be read.
# scope: document
shown contains "holds_known" if {
	input.context.holds.known == true
	is_object(input.context.holds.current)
}

shown contains "action_not_held" if {
	is_object(input.context.holds.current)
	every hold in input.context.holds.current {
		spares(hold)
	}
}

# METADATA
# title: Spares
# description: Whether a hold has nothing to say about this request.
# scope: document
spares(hold) if {
	is_number(hold.ends_at)
	is_number(input.context.time)
	hold.ends_at <= input.context.time
}

spares(hold) if {
	is_string(hold.segment)
	is_string(input.subject.properties.segment)
	not hold.segment in {"", "*", input.subject.properties.segment}
}

spares(hold) if {
	is_array(hold.actions)
	count(hold.actions) > 0
	every action in hold.actions {
		action in actions
		action != input.action.name
	}
}

# METADATA
# title: Actions
# description: The product's own, which alone can be held.
actions := {"gradient_submission", "inference", "model_access"}
