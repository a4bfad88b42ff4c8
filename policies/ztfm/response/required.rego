package ztfm.response

# METADATA
# title: Required
# description: What must be known of a subject before anything is decided about where it stands.
required := {
	"behaviour_weighed",
	"contributions_counted",
	"owner",
	"resource_kind",
	"state_known",
	"status_known",
	"subject_known",
	"trust_known",
}
