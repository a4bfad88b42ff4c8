# METADATA
# title: Attestation
# description: How far the subject's platform must be proven, which follows from the model's sensitivity.
package ztfm.lib.attestation

import data.data.limits
import data.ztfm.lib.model

# METADATA
# title: Proven
# description: The requirements on the platform's proven state that hold.
# scope: document
proven contains "attestation_sufficient" if rank >= limits.attestation_ranks[model.terms.attestation]

proven contains "attestation_fresh" if {
	model.terms.attestation == "none"
	rank
}

proven contains "attestation_fresh" if {
	model.terms.attestation != "none"
	input.subject.properties.attestation.age_seconds >= 0
	input.subject.properties.attestation.age_seconds <= limits.attestation_age_seconds
}

# METADATA
# title: Rank
# description: How strong the level is that was proven; undefined for a level that nobody knows.
rank := limits.attestation_ranks[input.subject.properties.attestation.level]
