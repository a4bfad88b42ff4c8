package ztfm.admin

import data.data.limits
import data.ztfm.lib.exceptions

proven contains "approver_apart" if {
	is_string(input.subject.id)
	is_string(input.resource.properties.owner)
	not input.resource.properties.owner in {"", input.subject.id}
}

proven contains "exception_short" if {
	input.resource.properties.lasts_seconds > 0
	input.resource.properties.lasts_seconds <= limits.exception_days_maximum * 86400
}

proven contains "exception_waivable" if {
	is_array(input.resource.properties.waives)
	count(input.resource.properties.waives) > 0
	every code in input.resource.properties.waives { code in exceptions.waivable }
}
