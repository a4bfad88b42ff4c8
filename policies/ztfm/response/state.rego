package ztfm.response

import data.data.limits
import data.ztfm.lib.behaviour
import data.ztfm.lib.subject

# METADATA
# title: State
# description: |
#   Where the subject stands from now on. Whom a person set apart, or who is revoked, is not quarantined by policy, so
#   that no time releases it. Out of quarantine there is one way, and it leads over a probation, which nothing but sound
#   behaviour where it was unsound ends.
# scope: document
# schemas:
#   - input: schema.input.response
default state := "recovering"

state := unreleased[input.context.behaviour.state] if {
	input.subject.properties.status != "active"
	input.context.behaviour.state != "quarantined"
} else := "recovering" if {
	input.context.behaviour.state == "quarantined"
	input.context.behaviour.state_age_seconds - limits.behaviour.quarantine_seconds >= 0
} else := "quarantined" if {
	input.context.behaviour.state == "quarantined"
} else := "quarantined" if {
	behaviour.evidence >= behaviour.too_much
} else := "trusted" if {
	input.context.behaviour.state in {"trusted", "watched"}
	subject.standing == "full"
	behaviour.is_little
} else := "watched" if {
	input.context.behaviour.state in {"trusted", "watched"}
} else := "watched" if {
	subject.trust - limits.behaviour.release_trust >= 0
	behaviour.is_little
	behaviour.is_tried
}

# METADATA
# title: Unreleased
# description: How a subject stands that somebody set apart, which is as it stood and no better than watched.
unreleased := {"recovering": "recovering", "trusted": "watched", "watched": "watched"}
