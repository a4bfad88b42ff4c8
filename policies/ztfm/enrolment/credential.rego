package ztfm.enrolment

import data.data.enrolment as accepted

proven contains "credential_valid" if {
	input.context.credential.valid == true
	input.context.credential.cause == ""
}

proven contains "credential_accepted" if credential_terms

proven contains "credential_bound" if input.context.credential.key_bound == true

proven contains "credential_unrevoked" if input.context.credential.status == "unstated"

proven contains "credential_unexpired" if {
	input.context.time >= 0
	input.context.credential.expires_at - input.context.time > 0
}

proven contains "credential_fresh" if {
	input.context.credential.age_seconds >= 0
	credential_terms.age_seconds - input.context.credential.age_seconds >= 0
}

proven contains "credential_claims" if {
	is_object(credential_terms.claims)
	every name, values in credential_terms.claims {
		input.context.credential.claims[name] in values
	}
}

offered_roles contains role if {
	kind == "credential"
	some role, true in credential_terms.roles
}

offered_segments contains segment if {
	kind == "credential"
	some segment, true in credential_terms.segments
}

# METADATA
# title: Credential terms
# description: |
#   What `data/enrolment` has for credentials of this kind, of this issuer; what they say is worth that. One whose
#   revocation would have to be looked up is not taken.
credential_terms := accepted.issuers[input.context.credential.issuer].types[input.context.credential.vct]
