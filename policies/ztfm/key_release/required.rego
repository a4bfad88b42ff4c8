package ztfm.key_release

# METADATA
# title: Required
# description: What a release must prove; of a part of a model's weights, also a capability for a pull that names it.
# scope: document
# schemas:
#   - input: schema.input.key_release
default required := {
	"attestation_fresh",
	"attestation_sufficient",
	"network_allowed",
	"secret_for_purpose",
	"reference_accepted",
	"release_key_bound",
	"role_granted",
	"secret_known",
	"secret_for_segment",
	"subject_active",
	"subject_known",
	"trust_sufficient",
}

required := {
	"attestation_fresh",
	"attestation_sufficient",
	"pull_capability_for_model",
	"pull_capability_for_shard",
	"pull_capability_fresh",
	"pull_capability_holds",
	"network_allowed",
	"secret_for_purpose",
	"reference_accepted",
	"release_key_bound",
	"role_granted",
	"secret_known",
	"secret_for_segment",
	"subject_active",
	"subject_known",
	"trust_sufficient",
} if {
	secret.shard
}
