package ztfm.content

import data.data.content as kept
import data.ztfm.lib.model
import data.ztfm.lib.subject

# METADATA
# title: Terms
# description: From which values on what is done, for the model's sensitivity and the content's direction.
terms := kept.sensitivities[model.asked.sensitivity][input.context.direction]

# METADATA
# title: Values
# description: The signals that could be read, each a number; what is read of another type is no signal.
# scope: document
values["injection"] := score if {
	score := input.context.findings.injection
	score >= 0
	score <= 1
}

values["secrets"] := many if {
	many := input.context.findings.secrets
	many >= 0
	is_number(many)
}

values["personal"] := sum(counts) if {
	is_object(input.context.findings.personal)
	counts := [many | some many in input.context.findings.personal; is_number(many); many >= 0]
	count(counts) == count(input.context.findings.personal)
}

values["near_duplicate"] := {true: 1, false: 0}[input.context.findings.near_duplicate]

values["coverage"] := share if {
	share := input.context.findings.coverage
	share >= 0
	share <= 1
}

# METADATA
# title: Taken
# description: The measures that are taken; where not all is known that they follow from, nothing passes anyway.
# scope: document
taken contains measure if {
	some signal, thresholds in terms.from
	some measure, least in thresholds
	not is_below(values[signal], least)
}

taken contains measure if {
	some measure, is_taken in terms.always[subject.standing]
	is_taken != false
}

# METADATA
# title: Complete
# description: Whether every signal could be read, and the data say from where on it denies, and what is always done.
is_complete if {
	count(values) == 5
	is_object(terms.always[subject.standing])
	every signal, _ in values {
		is_number(terms.from[signal].deny)
	}
}

# METADATA
# title: Below
# description: Whether a signal is proven to lie below the value from which on a measure is taken.
is_below(value, least) if {
	is_number(least)
	value < least
}
