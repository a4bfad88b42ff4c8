package ztfm.content

import data.data.content as kept
import data.ztfm.lib.model

# METADATA
# title: Granted
# description: What must be done with a content that may pass.
# scope: document
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {
	"obligations": object.union_n(array.concat([{}], [part | some measure in taken; part := parts[measure]])),
	"ttl_seconds": kept.ttl_seconds,
}

# METADATA
# title: Amounts
# description: How much of each measure, for the model's sensitivity.
amounts := kept.sensitivities[model.asked.sensitivity].amounts

# METADATA
# title: Parts
# description: What each measure puts into the obligations; where one that is taken has no part, nothing passes.
# scope: document
parts["label_only"] := {"detail": "label_only"}

parts["redact_personal"] := {"redact": redacted}

parts["redact_secrets"] := {"redact": redacted}

parts["round"] := {"decimals": amounts.decimals}

parts["shorten"] := {"max_output_tokens": amounts.max_output_tokens}

parts["slow"] := {"requests_per_minute": amounts.requests_per_minute}

parts["suppress_logits"] := {"suppress": suppressed}

parts["suppress_probabilities"] := {"suppress": suppressed}

parts["watermark"] := {"watermark": amounts.watermark}

# METADATA
# title: Redacted
# description: The kinds of findings whose places are blacked out.
# scope: document
redacted contains kind if {
	some kind in {"personal", "secrets"}
	concat("_", ["redact", kind]) in taken
}

# METADATA
# title: Suppressed
# description: The fields that are taken out of an answer.
# scope: document
suppressed contains field if {
	some field in {"logits", "probabilities"}
	concat("_", ["suppress", field]) in taken
}
