package ztfm.gradient_submission

import data.ztfm.lib.privacy

# METADATA
# title: Noise
# description: |
#   What the plan of the model's noise requires, what of that is proven, and what it grants: nothing where it is certain
#   that there is no plan. Where a part of it cannot be read all of this is undefined, which denies.
# scope: document
noise := {
	"arrived": set(),
	"charged": set(),
	"obligations": {},
	"proven": set(),
	"unbounded": set(),
} if {
	privacy.is_unplanned(trained)
} else := {
	"arrived": privacy.arrived(trained),
	"charged": privacy.charged(trained),
	"obligations": privacy.obligations(trained),
	"proven": privacy.proven(trained),
	"unbounded": privacy.unbounded(trained),
}
