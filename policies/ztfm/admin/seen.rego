package ztfm.admin

# METADATA
# title: Seen of oneself
# description: What a subject must prove to read what is known or was decided about it.
seen_own := {"resource_kind", "subject_known", "subject_unrevoked"}

# METADATA
# title: Seen
# description: |
#   What an enforcement point's word is taken for: what it sees of a request, and what it claims where an author's own
#   package decides.
seen := [
	"claims.action",
	"claims.context",
	"claims.resource",
	"claims.subject",
	"context.inference",
	"context.network",
	"context.purpose",
	"context.round_id",
	"context.verification",
	"resource.properties.digest",
]
