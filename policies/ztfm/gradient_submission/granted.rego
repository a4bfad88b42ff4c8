package ztfm.gradient_submission

import data.data.limits
import data.ztfm.lib.confidentiality
import data.ztfm.lib.model
import data.ztfm.lib.subject

# METADATA
# title: Granted
# description: What an allowed submission comes with. An admitted update is clipped to a multiple of the median norm.
# scope: document
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {
	"obligations": object.union_n([
		model.limits_of({"epsilon", "max_bytes", "max_norm"} - noise.unbounded),
		{"watch": subject.standing == "watched"},
		noise.obligations,
		hidden,
		model.sealing,
	]),
	"ttl_seconds": model.terms.ttl_seconds[subject.standing],
} if {
	input.context.phase == "grant"
}

granted := {
	"obligations": {
		"clip_norm_ratio": limits.evidence.clip_norm_ratio,
		"watch": subject.standing == "watched",
	},
	"ttl_seconds": model.terms.ttl_seconds[subject.standing],
} if {
	input.context.phase == "admit"
}

# METADATA
# title: Hidden
# description: How the update is submitted; nothing where its aggregator sees it as it is.
hidden := {} if confidentiality.mode == "plain"

else := confidentiality.submitted(trained)
