# METADATA
# title: Evidence
# description: What screening must have measured on an update before it may enter the aggregate.
package ztfm.lib.evidence

import data.data.limits

# METADATA
# title: Proven
# description: |
#   The requirements on the update's evidence that hold. Each measure is bounded on both sides, which only a number
#   can meet: Rego orders null and booleans before numbers and strings after them.
# scope: document
proven contains "update_measured" if {
	startswith(input.context.evidence.update_digest, "sha256:")
	input.context.evidence.parameters >= 1
	limits.evidence.parameters_maximum - input.context.evidence.parameters >= 0
	input.context.evidence.norm > 0
	limits.evidence.norm_maximum - input.context.evidence.norm >= 0
	limits.evidence.references[input.context.evidence.reference] == true
}

proven contains "update_finite" if input.context.evidence.nonfinite == 0

proven contains "update_shaped" if input.context.evidence.shapes_match == true

proven contains "update_bounded" if {
	input.context.evidence.norm_ratio > 0
	limits.evidence.norm_ratio_maximum - input.context.evidence.norm_ratio >= 0
}

proven contains "update_aligned" if {
	input.context.evidence.cosine - limits.evidence.cosine_minimum >= 0
	input.context.evidence.cosine <= 1
}

proven contains "update_unique" if input.context.evidence.duplicates == 0

proven contains "update_new" if {
	input.context.evidence.seen_before == false
	is_no_replay
}

proven contains "update_examples" if {
	input.context.evidence.examples - limits.evidence.examples_minimum >= 0
	limits.evidence.examples_maximum - input.context.evidence.examples >= 0
}

# METADATA
# title: No replay
# description: |
#   Whether the update is unlike those of earlier rounds; where there were none to compare with, nothing says so.
# scope: document
is_no_replay if {
	input.context.evidence.replay_cosine >= -1
	limits.evidence.replay_cosine_maximum - input.context.evidence.replay_cosine > 0
}

is_no_replay if not "replay_cosine" in object.keys(input.context.evidence)
