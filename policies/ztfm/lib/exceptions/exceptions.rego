# METADATA
# title: Exceptions
# description: |
#   A dated, approved exception may waive a few requirements for one subject, resource and action: one that is signed
#   with this bundle, or one that was granted since and comes with the facts. `waivable` of `data/limits` names these.
#   Identity, status, roles, segments, rounds, one-time use and evidence are never among them, whatever it says.
package ztfm.lib.exceptions

import data.data.exceptions
import data.data.limits

# METADATA
# title: Waivable
# description: The only requirements that an exception can waive; what must always hold is not among them.
# scope: document
waivable contains code if {
	some code, true in limits.waivable
	not code in never
}

# METADATA
# title: Waived
# description: What is waived for this subject, resource and action at this time.
# scope: document
waived contains code if {
	some codes in waives
	some code in codes
}

# METADATA
# title: Used
# description: |
#   The names of the exceptions that `missing` needs: for each requirement that one waives, the first by name.
# scope: document
used(missing) := {name |
	some code in missing
	name := min({other | some other, codes in waives; code in codes})
}

# METADATA
# title: Waives
# description: What each exception waives here and now, by its name in the bundle or by its id.
# scope: document
waives[name] contains code if {
	some name, exception in exceptions[input.subject.id]
	exception.resource == input.resource.id
	exception.action == input.action.name
	is_approved(exception, input.subject.id)
	is_current(time.parse_rfc3339_ns(exception.from), time.parse_rfc3339_ns(exception.until), 1000000000)
	some code, true in exception.waives
	code in waivable
}

waives[id] contains code if {
	some id, exception in input.context.exceptions
	exception.subject == input.subject.id
	exception.resource == input.resource.id
	exception.action == input.action.name
	is_approved(exception, input.subject.id)
	is_current(exception.starts_at, exception.ends_at, 1)
	some code, true in exception.waives
	code in waivable
}

# METADATA
# title: Approved
# description: Whether somebody other than the subject approved it, for a reason.
# scope: document
is_approved(exception, subject) if {
	trim_space(exception.reason) != ""
	trim_space(exception.approver) != ""
	exception.approver != subject
}

# METADATA
# title: Current
# description: |
#   An exception counts from its start until its end, in seconds or in a smaller `unit` of which so many make one; what
#   was made for longer than the limit does not count at all. Subtracting proves that both are numbers.
# scope: document
is_current(starts_at, ends_at, unit) if {
	ends_at - starts_at <= (limits.exception_days_maximum * 86400) * unit
	now := input.context.time * unit
	now >= starts_at
	now < ends_at
}
