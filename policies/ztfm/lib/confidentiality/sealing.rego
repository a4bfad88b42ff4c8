package ztfm.lib.confidentiality

import data.data.attestation.references
import data.data.confidentiality as kept
import data.data.limits

# METADATA
# title: Sealed
# scope: document
# description: |
#   Of which evidence the key is that updates of a model are sealed to, where they have to be: of any reference values
#   that are in force; where nobody else may see an update, of an aggregator that screens.
sealed(name, terms) := screened(terms) if mode_of(name) == "tee"

sealed(name, terms) := object.union(terms, {"references": sort(accepted)}) if {
	mode_of(name) != "tee"
}

# METADATA
# title: Screened
# description: The terms, and never less than an aggregator that sees updates has to be.
screened(terms) := object.union(terms, {
	"age_seconds": min({terms.age_seconds, limits.attestation_age_seconds}),
	"level": strongest(terms.level),
	"references": sort(screening),
})

# METADATA
# title: Strongest
# description: A level that is asked for, where it is strong enough, and else the one that is.
strongest(level) := level if {
	level in strong
} else := kept.tee_level

# METADATA
# title: Accepted
# description: The reference values that are in force.
# scope: document
accepted contains name if {
	some name, values in references
	is_object(values)
}
