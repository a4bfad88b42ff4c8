# METADATA
# title: Thing
# description: |
#   Decides who may do what to resources of the type `thing`.
#   What is known lies in `data.data.thing`.
#   What the enforcement point claims lies under `input.claims`, and counts only where a rule here reads it.
# schemas:
#   - input: schema.input.other
package ztfm.extra.thing

import data.data.limits
import data.data.thing
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the subject may do that to the resource.
decision := verdict.of(required, missing, granted)

# METADATA
# title: Granted
# description: What an allowed request comes with.
granted := {"obligations": {}, "ttl_seconds": thing.ttl_seconds}

# METADATA
# title: Missing
# description: What was required and not satisfied.
missing := required - satisfied

# METADATA
# title: Required
# description: What every request must satisfy.
required := {
	"requests_within_budget",
	"thing_granted",
	"thing_known",
	"thing_subject_known",
}

# METADATA
# title: Satisfied
# description: The requirements that hold, each shown from values of a known type.
# scope: document
satisfied contains "thing_subject_known" if {
	input.subject.type == "user"
	thing.grants[input.subject.id]
}

satisfied contains "thing_known" if {
	input.resource.type == "thing"
	thing.resources[input.resource.id]
}

satisfied contains "thing_granted" if {
	thing.grants[input.subject.id][input.resource.id][input.action.name] == true
}

# Bounded on both sides: null and false are below every number, a string is above every number.
satisfied contains "requests_within_budget" if {
	input.context.usage.window_seconds == limits.usage_window_seconds
	input.context.usage.requests >= 0
	input.context.usage.requests < thing.requests_maximum
}

# METADATA
# title: Subjects
# description: The subjects that a search asks about, by type.
subjects := {"user": object.keys(thing.grants)}

# METADATA
# title: Resources
# description: The resources that a search asks about.
resources := object.keys(thing.resources)

# METADATA
# title: Actions
# description: The actions that a search asks about.
# scope: document
actions contains action if {
	some granted in thing.grants
	some permitted in granted
	some action, true in permitted
}
