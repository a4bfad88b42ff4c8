# METADATA
# title: Integrity
# description: Whether somebody who may sign the model vouches for the weights that are asked for, as its data ask.
package ztfm.lib.integrity

import data.ztfm.lib.model

# METADATA
# title: Proven
# description: |
#   The requirement on signatures. Of an `opened` model nobody signs anything. A `signed` one is served from a
#   registered version alone, and trained from what an enrolled aggregator opens a round with. Of a `signed_base` one
#   the rounds must have begun at a registered version, too. A word that nobody knows is never proven.
# scope: document
proven contains "model_signed" if model.asked.integrity == "opened"

proven contains "model_signed" if {
	model.asked.integrity == "signed"
	input.context.purpose == "training"
}

proven contains "model_signed" if {
	model.asked.integrity in {"signed", "signed_base"}
	input.context.purpose == "serving"
	counts(input.context.integrity.release)
}

proven contains "model_signed" if {
	model.asked.integrity == "signed_base"
	input.context.purpose == "training"
	counts(input.context.integrity.base)
}

# METADATA
# title: Counts
# description: Whether a version was registered by now, and its signer may still sign the model.
counts(version) if {
	model.asked.signers[version.signer] == true
	input.context.time - version.registered_at >= 0
}
