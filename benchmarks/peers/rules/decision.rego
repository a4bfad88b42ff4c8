# METADATA
# title: Decision
# description: The policy that engines are compared on, in the form of a decision.
package ztfm.ACTION

import data.ztfm.lib.peers
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether it may be done.
# entrypoint: true
decision := verdict.of(required, required - proven, {"obligations": {}, "ttl_seconds": 60})

# METADATA
# title: Required
# description: What is asked for.
required := {"peers_allow"}

# METADATA
# title: Proven
# description: What holds.
proven contains "peers_allow" if peers.allowed
