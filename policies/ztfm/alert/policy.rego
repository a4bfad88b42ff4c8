# METADATA
# title: Alert
# description: |
#   Decides what is done because of an alert: nothing, a hold, which denies actions in a segment or everywhere for a
#   time, or the release of what the same alert had held. Which alerts may do what, `data/alerts` says; for one that is
#   not named there, nothing is done.
# schemas:
#   - input: schema.input.alert
package ztfm.alert

import data.data.alerts
import data.data.limits
import data.data.segments
import data.ztfm.lib.holds
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: What is done because of the alert.
# entrypoint: true
decision := verdict.of(required, (required - proven) - holds.proven, granted)

# METADATA
# title: Proven
# description: The requirements of a response to an alert that hold.
# scope: document
proven contains "alert_named" if {
	is_string(input.context.alert.name)
	input.context.alert.name == input.resource.id
	input.resource.type == "alert"
}

proven contains "alert_status_known" if input.context.alert.status in {"firing", "resolved"}

proven contains "alert_recent" if {
	age >= 0 - alerts.ahead_seconds
	alerts.late_seconds - age >= 0
}

proven contains "alert_severity_expected" if plan.severities[input.context.alert.severity] == true

proven contains "alert_segment_known" if plan.scope == "everywhere"

proven contains "alert_segment_known" if {
	plan.scope == "segment"
	segments[input.context.alert.segment]
}

# Its own hold is not in an alert's way: it may be told of again.
proven contains "holds_bounded" if {
	is_object(input.context.holds.current)
	is_string(input.context.alert.fingerprint)
	own := {id |
		some id, hold in input.context.holds.current
		hold.fingerprint == input.context.alert.fingerprint
	}
	alerts.holds_maximum - (count(input.context.holds.current) - count(own)) > 0
}

# METADATA
# title: Plan
# description: What the data say of an alert of this name.
plan := alerts.responses[input.context.alert.name]

# METADATA
# title: Age
# description: |
#   Seconds since the alert began, or was resolved. A difference is undefined for anything but numbers, so it proves
#   types that a comparison alone would not.
# scope: document
age := input.context.time - input.context.alert.started_at if {
	input.context.alert.status == "firing"
} else := input.context.time - input.context.alert.ended_at if {
	input.context.alert.status == "resolved"
}

# METADATA
# title: Granted
# description: What the alert brings about.
granted := {"obligations": response, "ttl_seconds": limits.admin_ttl_seconds}
