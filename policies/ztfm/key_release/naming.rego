package ztfm.key_release

import data.data.resources

# METADATA
# title: Well named
# description: |
#   Whether a secret is called as it must be: that of a model's shard MODEL/SHARD, and no other so. For a key of data no
#   capability is asked, and who forgets to say that a secret opens a shard must not hand it to everybody.
# scope: document
is_well_named if input.resource.id == concat("/", [secret.shard.model, secret.shard.name])

is_well_named if {
	not secret.shard
	parts := split(input.resource.id, "/")
	not resources[concat("/", array.slice(parts, 0, count(parts) - 1))]
}
