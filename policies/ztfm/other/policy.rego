# METADATA
# title: Other
# description: |
#   Decides actions that the product does not know. Whoever owns a type of resource decides about it in a package of
#   their own, `ztfm.extra.<type>`; without one nothing is allowed. What the caller claims lies under `input.claims`,
#   apart from what is known.
# schemas:
#   - input: schema.input.other
package ztfm.other

import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: What the package of the resource's type decides; what it leaves undefined is denied.
# entrypoint: true
# scope: document
decision := decided if {
	decided := data.ztfm.extra[input.resource.type].decision
} else := verdict.of(required, required, {"obligations": {}, "ttl_seconds": 0})

# METADATA
# title: Required
# description: What is missing where no package decides.
required := {"action_known"}
