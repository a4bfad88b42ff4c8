package ztfm.admin

# METADATA
# title: Actions
# description: |
#   By action, the kind of thing it is asked of, what it requires, what it requires of whoever the thing belongs to
#   where that is less, and what the caller may assert.
actions := {
	"access:search": {"kind": "search", "may_assert": seen, "required": service},
	"behaviour:read": {"kind": "behaviour", "may_assert": [], "required": service, "own": seen_own},
	"behaviour:report": {"kind": "behaviour", "may_assert": ["context.signals"], "required": service},
	"capability:introspect": {"kind": "capability", "may_assert": [], "required": service, "own": own},
	"capability:revoke": {"kind": "capability", "may_assert": [], "required": service, "own": own},
	"certificate:issue": {"kind": "certificate", "may_assert": [], "required": (own | {"key_known", "owner"})},
	"decision:list": {
		"kind": "decision_log",
		"may_assert": [],
		"own": seen_own,
		"required": service,
	},
	"decision:read": {
		"kind": "decision",
		"may_assert": [],
		"own": seen_own,
		"required": service,
	},
	"device:read": {"kind": "device", "may_assert": [], "required": service, "own": own},
	"device:rotate_key": {"kind": "device", "may_assert": [], "required": (own | {"key_known", "owner"})},
	"device:set_status": {"kind": "device", "may_assert": [], "required": (service | {"status_granted"})},
	"evaluation:ask": {"kind": "evaluation", "may_assert": seen, "required": service},
	"events:read": {"kind": "events", "may_assert": [], "required": service},
	"exception:grant": {
		"kind": "exception",
		"may_assert": [],
		"required": (service | {"approver_apart", "exception_short"}),
	},
	"exception:list": {"kind": "exception", "may_assert": [], "required": service},
	"exception:revoke": {"kind": "exception", "may_assert": [], "required": service},
	"hold:list": {"kind": "hold", "may_assert": [], "required": service},
	"hold:release": {"kind": "hold", "may_assert": [], "required": service},
	"identity:resolve": {"kind": "identifier", "may_assert": [], "required": service, "own": own},
	"key:read": {"kind": "key", "may_assert": [], "required": service},
	"key:rotate": {"kind": "key", "may_assert": [], "required": service},
	"key:withdraw": {"kind": "key", "may_assert": [], "required": service},
	"metrics:read": {"kind": "metrics", "may_assert": [], "required": service},
	"policy:publish": {"kind": "policy", "may_assert": [], "required": (service | {"layer_granted"})},
	"policy:read": {"kind": "policy", "may_assert": [], "required": service},
	"policy:rollback": {"kind": "policy", "may_assert": [], "required": (service | {"layer_granted"})},
	"policy:shadow": {"kind": "policy", "may_assert": [], "required": service},
	"round:create": {"kind": "round", "may_assert": [], "required": service},
	"round:rollback": {"kind": "round", "may_assert": [], "required": service},
	"site:report": {"kind": "site", "may_assert": [], "required": (seen_own | {"owner"})},
	"status_list:read": {"kind": "status_list", "may_assert": [], "required": service},
	"svid:issue": {"kind": "svid", "may_assert": [], "required": (service | {"audience_granted", "key_known", "owner"})},
	"token:issue": {"kind": "enrolment_token", "may_assert": [], "required": service},
	"updates:report": {
		"kind": "round",
		"may_assert": ["context.evidence", "context.verification"],
		"required": (service | {"owner"}),
	},
}

# METADATA
# title: Seen of oneself
# description: What a subject must prove to read what is known or was decided about it.
seen_own := {"resource_kind", "subject_known", "subject_unrevoked"}

# METADATA
# title: Seen
# description: |
#   What an enforcement point's word is taken for: what it sees of a request, and what it claims where an author's own
#   package decides.
seen := [
	"claims.action",
	"claims.context",
	"claims.resource",
	"claims.subject",
	"context.inference",
	"context.network",
	"context.purpose",
	"context.round_id",
	"context.verification",
	"resource.properties.digest",
]
