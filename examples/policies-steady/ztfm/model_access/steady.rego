package ztfm.model_access

import data.data.steadiness
import data.ztfm.lib.model

proven contains "trust_steady" if steadiness.seconds[model.asked.sensitivity] == 0

# Subtracting proves that both are numbers; of whom nothing is known, nothing is proven.
proven contains "trust_steady" if {
	input.subject.properties.trust.history.steady_seconds - steadiness.seconds[model.asked.sensitivity] >= 0
}
