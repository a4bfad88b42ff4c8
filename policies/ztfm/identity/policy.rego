# METADATA
# title: Identity
# description: |
#   Decides what is done about a device whose registered identity is not what its ledger says: nothing, quarantine,
#   or revocation. What is to be done by kind of finding, `data/limits` says; never is anybody let back. Where more is
#   found at once than single devices can be the reason for, nothing is done: a person looks at it first.
# schemas:
#   - input: schema.input.identity
package ztfm.identity

import data.data.limits
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: What is done about the finding.
# entrypoint: true
decision := verdict.of(required, required - proven, granted)

# METADATA
# title: Required
# description: What must be known of a finding before anything is done about it.
required := {"finding_known", "findings_bounded", "resource_kind", "status_known"}

# METADATA
# title: Proven
# description: The requirements that hold.
# scope: document
proven contains "resource_kind" if {
	input.resource.type == "device"
	is_string(input.resource.id)
}

proven contains "finding_known" if input.context.finding.kind in {
	"late",
	"other_key",
	"refused_record",
	"rejected",
	"revoked_elsewhere",
	"unrecorded",
}

proven contains "findings_bounded" if {
	is_number(input.context.finding.together)
	input.context.finding.together >= 1
	limits.identity.findings_maximum - input.context.finding.together >= 0
}

proven contains "status_known" if input.context.device.status in {"active", "quarantined", "revoked"}

# METADATA
# title: Wanted
# description: The status that a device has after such a finding; undefined where none is named.
wanted := limits.identity.statuses[input.context.finding.kind]

# METADATA
# title: Response
# description: The obligations; none where the device stands so already, or worse.
# scope: document
# schemas:
#   - input: schema.input.identity
default response := {}

response := {"status": wanted} if {
	ranks := {"active": 0, "quarantined": 1, "revoked": 2}
	ranks[wanted] > ranks[input.context.device.status]
}

# METADATA
# title: Granted
# description: What the finding brings about.
granted := {"obligations": response, "ttl_seconds": limits.admin_ttl_seconds}
