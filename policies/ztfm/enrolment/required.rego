package ztfm.enrolment

# METADATA
# title: Required
# description: |
#   What an enrolment must prove. A newcomer shows exactly one kind of evidence: of none, or of two, nothing is ever
#   enough.
# scope: document
# schemas:
#   - input: schema.input.enrolment
default required := {"evidence_single"}

required := always | evidence[kind]

# METADATA
# title: Kind
# description: The one kind of evidence that was shown; undefined for none and for several.
kind := name if {
	shown := {name | some name, _ in input.context; evidence[name]}
	count(shown) == 1
	some name in shown
}

# METADATA
# title: Always
# description: What every newcomer must prove, whatever it shows.
always := {
	"attestation_sufficient",
	"network_allowed",
	"proof_verified",
	"resource_kind",
	"roles_fit_segment",
	"roles_granted",
	"segment_granted",
}

# METADATA
# title: Evidence
# description: What each kind of evidence must prove beside that.
evidence := {
	"certificate": {
		"certificate_accepted",
		"certificate_bound",
		"certificate_unexpired",
		"certificate_unrefused",
		"certificate_valid",
	},
	"credential": {
		"credential_accepted",
		"credential_bound",
		"credential_claims",
		"credential_fresh",
		"credential_unexpired",
		"credential_unrevoked",
		"credential_valid",
	},
	"token": {
		"token_unexpired",
		"token_unused",
		"token_valid",
	},
}
