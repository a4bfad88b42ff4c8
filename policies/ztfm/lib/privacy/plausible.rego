package ztfm.lib.privacy

# METADATA
# title: Plausible
# description: |
#   Whether an update can be one that was clipped and to which this noise was added: its norm lies where that of a
#   clipped update with noise of so many values lies, but for one of some billions. That tells who added none or far too
#   little, and not whether what was added is random.
#
#   The norm of noise of standard deviation s in n values is within s * (sqrt(n) +- t) but for a share of about
#   2 * exp(-t^2/2), since a norm moves by no more than its argument does (Borell 1975); t is 7 here. Squares stand for
#   the root, which Rego has not.
plausible(norm, parameters, terms) if {
	is_number(norm)
	is_number(parameters)
	parameters >= 1
	deviation := terms.noise_multiplier * terms.clip_norm
	above := (norm - terms.clip_norm) - (7 * deviation)
	is_below(above, deviation, parameters)
	below := (norm + terms.clip_norm) + (7 * deviation)
	below * below >= (deviation * deviation) * parameters
}

# METADATA
# title: Is below
# description: Whether a length is at most that of noise of a standard deviation in so many values.
# scope: document
is_below(length, _, _) if length <= 0

is_below(length, deviation, parameters) if {
	length > 0
	length * length <= (deviation * deviation) * parameters
}
