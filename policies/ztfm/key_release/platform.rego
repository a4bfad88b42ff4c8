package ztfm.key_release

import data.data.attestation.references
import data.data.limits

# METADATA
# title: Platform
# description: |
#   The requirements on the platform that hold. Each is asked of one and the same evidence: what is strong enough must
#   itself be fresh, agree with accepted reference values, and bind the key that the secret is sealed to.
# scope: document
# schemas:
#   - input: schema.input.key_release
platform contains "attestation_sufficient" if count(strong) > 0

platform contains "attestation_fresh" if count(fresh) > 0

platform contains "reference_accepted" if count(accepted) > 0

platform contains "release_key_bound" if count(bound) > 0

# METADATA
# title: Strong
# description: The kinds of evidence that prove the platform as far as the secret asks for.
# scope: document
# schemas:
#   - input: schema.input.key_release
strong contains kind if {
	least := limits.attestation_ranks[secret.attestation.level]
	is_number(least)
	some kind, result in input.context.results
	rank := limits.attestation_ranks[result.level]
	is_number(rank)
	rank > 0
	rank >= least
}

# METADATA
# title: Fresh
# description: Of these, those that were appraised within the time that the secret allows.
# scope: document
# schemas:
#   - input: schema.input.key_release
fresh contains kind if {
	is_number(secret.attestation.age_seconds)
	some kind in strong
	input.context.results[kind].age_seconds >= 0
	input.context.results[kind].age_seconds <= secret.attestation.age_seconds
}

# METADATA
# title: Accepted
# description: |
#   Of these, those that agree with reference values that are accepted for the secret: with those that are named for it,
#   or with any that are in force still. What was taken back since the evidence was appraised accepts nothing.
# scope: document
# schemas:
#   - input: schema.input.key_release
accepted contains kind if {
	secret.attestation.references.any == true
	some kind in fresh
	is_object(references[input.context.results[kind].reference])
}

accepted contains kind if {
	some kind in fresh
	secret.attestation.references.named[input.context.results[kind].reference] == true
}

# METADATA
# title: Bound
# description: Of these, those that bind a release key of a suite that is accepted for the secret.
# scope: document
# schemas:
#   - input: schema.input.key_release
bound contains kind if {
	some kind in accepted
	secret.attestation.suites[input.context.results[kind].suite] == true
}

# METADATA
# title: Youngest
# description: |
#   Of these, those that were appraised last: the key that a device attested before it was set up anew, with evidence of
#   another kind, gets nothing once there is a newer one.
# scope: document
# schemas:
#   - input: schema.input.key_release
youngest contains kind if {
	some kind in bound
	input.context.results[kind].age_seconds == min({age |
		some other in bound
		age := input.context.results[other].age_seconds
	})
}
