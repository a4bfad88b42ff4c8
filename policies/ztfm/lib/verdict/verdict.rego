# METADATA
# title: Verdict
# description: Makes the decision document of what was required, what is missing and what is granted.
package ztfm.lib.verdict

import data.data.reasons
import data.ztfm.lib.attestation
import data.ztfm.lib.differing
import data.ztfm.lib.exceptions

# METADATA
# title: Of
# description: |
#   Allows when nothing that was required is missing, or when exceptions waive all that is. `granted` holds the
#   obligations and the lifetime of an allowed request; a denied one gets neither. Requiring nothing allows nothing.
# scope: document
of(required, missing, granted) := {
	"allow": true,
	"obligations": granted.obligations,
	"reasons": [],
	"rules": required,
	"ttl_seconds": granted.ttl_seconds,
} if {
	count(required) > 0
	count(missing) == 0
} else := {
	"allow": true,
	"obligations": object.union(granted.obligations, {"exceptions": exceptions.used(missing), "waived": missing}),
	"reasons": [],
	"rules": required,
	"ttl_seconds": granted.ttl_seconds,
} if {
	count(required) > 0
	count(missing - exceptions.waived) == 0
} else := {
	"allow": false,
	"obligations": {},
	"reasons": explain(missing - exceptions.waived),
	"rules": required,
	"ttl_seconds": 0,
}

# METADATA
# title: Explain
# description: |
#   The messages and remedies of missing requirements, in order; one without a text is reported all the same. What a
#   platform proves and what it had to is named with it.
explain(missing) := [object.union_n([{"code": code}, object.get(reasons, code, unexplained), differences]) |
	some code in sort(missing)
	differences := differing.told(object.get(attestation.differences, code, set()))
]

# METADATA
# title: Unexplained
# description: Stands for a text that is missing.
unexplained := {
	"message": "A requirement of the policy was not met.",
	"remedy": "Ask the operator of the federation, and name this code.",
}

# METADATA
# title: Telling
# description: The decision with the claims that are not what they should be beside what they are about.
# scope: document
telling(decision, differences) := object.union(decision, {"reasons": [told |
	some reason in decision.reasons
	told := object.union(reason, differing.told(object.get(differences, reason.code, set())))
]})
