package ztfm.enrolment

# METADATA
# title: Required
# description: What an enrolment must prove.
required := {
	"network_allowed",
	"proof_verified",
	"resource_kind",
	"roles_fit_segment",
	"roles_granted",
	"segment_granted",
	"token_unexpired",
	"token_unused",
	"token_valid",
}
