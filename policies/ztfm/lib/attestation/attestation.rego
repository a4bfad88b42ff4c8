# METADATA
# title: Attestation
# description: How far the subject's platform must be proven, which follows from the model's sensitivity.
package ztfm.lib.attestation

import data.data.limits
import data.ztfm.lib.differing
import data.ztfm.lib.model

# METADATA
# title: Proven
# description: The requirements on the platform's proven state that hold.
# scope: document
proven contains "attestation_sufficient" if {
	least := limits.attestation_ranks[model.terms.attestation]
	is_number(least)
	is_number(rank)
	rank >= least
}

proven contains "attestation_fresh" if {
	model.terms.attestation == "none"
	rank
}

proven contains "attestation_fresh" if {
	model.terms.attestation != "none"
	is_number(limits.attestation_age_seconds)
	input.subject.properties.attestation.age_seconds >= 0
	input.subject.properties.attestation.age_seconds <= limits.attestation_age_seconds
}

# METADATA
# title: Rank
# description: How strong the level is that was proven; undefined for a level that nobody knows.
rank := limits.attestation_ranks[input.subject.properties.attestation.level]

# METADATA
# title: Differences
# description: By requirement that does not hold, what is proven and what had to be, as a denial names it.
# scope: document
differences.attestation_sufficient contains differing.difference("attestation.level", seen, wanted) if {
	not "attestation_sufficient" in proven
	seen := input.subject.properties.attestation.level
	wanted := {level |
		some level, strength in limits.attestation_ranks
		strength >= limits.attestation_ranks[model.terms.attestation]
	}
}

differences.attestation_fresh contains differing.difference("attestation.age_seconds", seen, wanted) if {
	not "attestation_fresh" in proven
	seen := object.get(input.subject.properties.attestation, "age_seconds", "")
	wanted := {concat(" ", ["at most", json.marshal(limits.attestation_age_seconds)])}
}
