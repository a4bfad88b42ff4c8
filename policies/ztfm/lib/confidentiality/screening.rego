package ztfm.lib.confidentiality

import data.data.attestation.references
import data.data.confidentiality as kept
import data.data.limits
import data.ztfm.lib.differing

# METADATA
# title: Is attested
# description: |
#   Whether a platform may see updates, by the results of its evidence. All is asked of one and the same of them: that
#   it is as strong, as late, and of reference values of an aggregator that screens.
is_attested(results) if {
	some result in results
	result.level in strong
	is_late(result.age_seconds)
	result.reference in screening
}

# METADATA
# title: Is late
# description: Whether a platform was proven as lately as one that sees updates has to be.
is_late(age) if {
	is_number(age)
	is_number(limits.attestation_age_seconds)
	age >= 0
	age <= limits.attestation_age_seconds
}

# METADATA
# title: Strong
# description: The levels of proof that are strong enough for an aggregator that sees updates; no proof never is.
# scope: document
strong contains level if {
	kept.tee_level in {"hardware", "software"}
	is_number(limits.attestation_ranks[kept.tee_level])
	some level, rank in limits.attestation_ranks
	is_number(rank)
	rank >= limits.attestation_ranks[kept.tee_level]
}

# METADATA
# title: Screening
# description: The reference values, in force still, of which an aggregator that sees updates has to be.
# scope: document
screening contains name if {
	some name, may in kept.tee_references
	may == true
	is_object(references[name])
}

# METADATA
# title: Unlike
# description: What of an aggregator's results is not as it has to be; of one that has none, that.
unlike(results) := {differing.difference("aggregator.results", "none", screening)} if results == {}

else := (weak(results) | old(results)) | foreign(results)

# METADATA
# title: Weak
# description: The levels of results that are not strong enough.
weak(results) := {differing.difference(named(kind, "level"), object.get(result, "level", ""), strong) |
	some kind, result in results
	not result.level in strong
}

# METADATA
# title: Old
# description: The ages of results that are too old.
old(results) := {differing.difference(named(kind, "age_seconds"), object.get(result, "age_seconds", ""), {most}) |
	some kind, result in results
	not is_late(result.age_seconds)
	most := concat(" ", ["at most", json.marshal(limits.attestation_age_seconds)])
}

# METADATA
# title: Foreign
# description: The reference values of results that are of no aggregator that screens.
foreign(results) := {differing.difference(named(kind, "reference"), object.get(result, "reference", ""), screening) |
	some kind, result in results
	not result.reference in screening
}

# METADATA
# title: Named
# description: How a part of a result is named.
named(kind, part) := concat(".", ["aggregator", kind, part])
