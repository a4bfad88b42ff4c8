# METADATA
# title: Exceptions
# description: |
#   A dated, approved exception may waive a few requirements for one subject, resource and action. Identity, status,
#   roles, segments, rounds, one-time use and evidence can never be waived: they are not in `waivable`.
package ztfm.lib.exceptions

import data.data.exceptions
import data.data.limits

# METADATA
# title: Waivable
# description: The only requirements that an exception can waive.
waivable := {
	"attestation_fresh",
	"attestation_sufficient",
	"network_allowed",
	"requests_within_budget",
	"tokens_within_budget",
	"trust_sufficient",
	"window_open",
}

# METADATA
# title: Waived
# description: What is waived for this subject, resource and action at this time.
# scope: document
waived contains code if {
	some exception in exceptions[input.subject.id]
	exception.resource == input.resource.id
	exception.action == input.action.name
	is_current(exception)
	some code, true in exception.waives
	code in waivable
}

# METADATA
# title: Current
# description: |
#   An exception counts when someone approved it for a reason, from and until the times that it names; one that
#   was made for longer than the limit does not count at all.
# scope: document
is_current(exception) if {
	count(exception.approver) > 0
	count(exception.reason) > 0
	from := time.parse_rfc3339_ns(exception.from)
	until := time.parse_rfc3339_ns(exception.until)
	until - from <= ((limits.exception_days_maximum * 86400) * 1000) * 1000000
	now := input.context.time * 1000000000
	now >= from
	now < until
}
