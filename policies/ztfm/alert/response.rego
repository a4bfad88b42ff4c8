package ztfm.alert

import data.data.alerts

# METADATA
# title: Required
# description: What must be true before anything is done; more of it, where something is to be held.
# scope: document
# schemas:
#   - input: schema.input.alert
default required := {"alert_named", "alert_recent", "alert_status_known"}

required := {
	"alert_named",
	"alert_recent",
	"alert_segment_known",
	"alert_severity_expected",
	"alert_status_known",
	"holds_bounded",
	"holds_known",
} if {
	begins
}

# METADATA
# title: Response
# description: The obligations of the response; none for nothing.
# scope: document
# schemas:
#   - input: schema.input.alert
default response := {}

response := {"hold": {
	"segment": place,
	"actions": [action | some action, is_held in plan.actions; is_held == true],
	"seconds": min({plan.seconds, alerts.seconds_maximum}),
}} if {
	begins
}

response := {"release": true} if {
	plan.response == "hold"
	plan.release_when_resolved == true
	input.context.alert.status == "resolved"
}

# METADATA
# title: Begins
# description: Whether something is to be held because of the alert.
begins if {
	plan.response == "hold"
	input.context.alert.status == "firing"
}

# METADATA
# title: Place
# description: Where it is held; `*` is everywhere.
# scope: document
place := "*" if plan.scope == "everywhere"

place := input.context.alert.segment if plan.scope == "segment"
