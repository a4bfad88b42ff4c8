package ztfm.lib.behaviour

import data.data.limits

# METADATA
# title: Counted
# description: Whether it is known how often the subject was as its peers are, and what convicted it, in each channel.
is_counted if {
	every kind in ["conforming", "convicted"] {
		is_object(input.context.behaviour[kind])
		every _, value in input.context.behaviour[kind] {
			is_number(value)
			value >= 0
		}
	}
}

# METADATA
# title: On trial
# description: |
#   The channels in which a subject on probation has to show that it has changed: those whose evidence was not little
#   when it was set apart, and updates in any case, where it ever sent one.
# scope: document
on_trial contains channel if {
	some channel, e_value in input.context.behaviour.convicted
	e_value >= limits.behaviour.release_e_value
}

on_trial contains "updates" if "updates" in object.keys(input.context.behaviour.conforming)

# METADATA
# title: Tried
# description: |
#   Whether it has shown that: often enough in each of them. What happens in one channel speaks for no other, and where
#   nothing is on trial, nothing was shown.
is_tried if {
	is_counted
	count(on_trial) > 0
	every channel in on_trial {
		least := limits.behaviour.release_observations[channel]
		is_number(least)
		input.context.behaviour.conforming[channel] >= least
	}
}
