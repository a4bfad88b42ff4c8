package ztfm.attestation

import data.data.attestation as known
import data.data.limits

# METADATA
# title: Nearest
# description: |
#   The reference values that the evidence is nearest to: those of which it misses the fewest requirements on what the
#   platform is like, then the fewest on which one it is, the first by name. Where it agrees with any, it agrees with
#   these.
nearest := min({[count((said - on_which) - held), count(said - held), name] |
	some name, _ in candidates
	held := object.get(holding, name, set())
})[2]

# METADATA
# title: Level
# description: What the root that vouches for the platform is worth.
level := known.anchors[claims.kind][claims.anchor]

# METADATA
# title: Reference
# description: These reference values.
reference := known.references[nearest]

# METADATA
# title: Agreed
# description: The requirements on what the evidence says that hold.
# scope: document
agreed contains "anchor_known" if {
	is_number(limits.attestation_ranks[level])
	limits.attestation_ranks[level] > 0
}

agreed contains "debug_off" if claims.debug == false

agreed contains "reference_known" if is_string(nearest)

agreed contains code if some code in holding[nearest]

# METADATA
# title: Granted
# description: What the evidence proves, and for how long.
# scope: document
# schemas:
#   - input: schema.input.attestation
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {
	"obligations": {
		"attested": {"level": level, "reference": nearest, "vector": reference.vector},
		"lifetime_seconds": known.result_seconds[level],
	},
	"ttl_seconds": limits.admin_ttl_seconds,
}
