package ztfm.content

# METADATA
# title: Required
# description: What must be true before a content passes.
required := {
	"action_not_held",
	"content_below_denial",
	"content_capability_current",
	"content_described",
	"content_stepped_up",
	"content_terms_known",
	"holds_known",
	"reporter_active",
	"reporter_granted",
	"reporter_in_network",
	"resource_known",
	"segment_allowed",
	"subject_active",
	"subject_known",
	"trust_sufficient",
}
