package ztfm.model_access

# METADATA
# title: Required
# description: What a pull must prove; a purpose that nobody knows is never proven.
# scope: document
# schemas:
#   - input: schema.input.model_access
default required := {"purpose_allowed"}

required := {
	"action_not_held",
	"attestation_fresh",
	"attestation_sufficient",
	"digest_current",
	"holds_known",
	"model_signed",
	"network_allowed",
	"purpose_allowed",
	"requests_within_budget",
	"resource_known",
	"role_granted",
	"round_for_model",
	"round_known",
	"round_member",
	"round_open",
	"segment_allowed",
	"subject_active",
	"subject_known",
	"trust_sufficient",
	"window_open",
} if {
	input.context.purpose == "training"
}

required := {
	"action_not_held",
	"attestation_fresh",
	"attestation_sufficient",
	"digest_released",
	"holds_known",
	"model_signed",
	"network_allowed",
	"purpose_allowed",
	"requests_within_budget",
	"resource_known",
	"role_granted",
	"segment_allowed",
	"subject_active",
	"subject_known",
	"trust_sufficient",
	"window_open",
} if {
	input.context.purpose == "serving"
}
