package ztfm.inference

# METADATA
# title: Required
# description: What an inference must prove.
required := {
	"action_not_held",
	"attestation_fresh",
	"attestation_sufficient",
	"holds_known",
	"inference_sized",
	"network_allowed",
	"purpose_allowed",
	"requests_within_budget",
	"resource_known",
	"role_granted",
	"segment_allowed",
	"subject_active",
	"subject_known",
	"tokens_within_budget",
	"trust_sufficient",
}
