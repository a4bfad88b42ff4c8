package ztfm.attestation

import data.data.attestation as known

# METADATA
# title: Said
# description: The requirements on what evidence says.
said := {
	"advisories_accepted",
	"anchor_known",
	"attributes_match",
	"debug_off",
	"measurements_match",
	"platform_allowed",
	"platform_kept",
	"platform_unshared",
	"reference_known",
	"status_accepted",
	"versions_sufficient",
}

# METADATA
# title: On which
# description: Those on which platform it is; a platform that is not one of these contradicts nothing.
on_which := {"platform_allowed", "platform_kept", "platform_unshared"}

# METADATA
# title: Claims
# description: What the evidence says, where it is of the kind that was announced.
claims := input.context.evidence.claims if input.context.evidence.claims.kind == input.resource.id

# METADATA
# title: Candidates
# description: The reference values, by name, that are for this kind of evidence, this root, and this subject.
# scope: document
candidates[name] := one if {
	some name, one in known.references
	one.kind == claims.kind
	one.anchors[claims.anchor] == true
	is_for(one, "segments", {input.subject.properties.segment})
	is_for(one, "roles", {role | some role in input.subject.properties.roles})
}

# METADATA
# title: Is for
# description: |
#   Whether reference values list something that is had; where they have no such list, anything will do. An empty list
#   is for nobody.
# scope: document
is_for(one, list, _) if not list in object.keys(one)

is_for(one, list, had) if {
	some word in had
	one[list][word] == true
}

# METADATA
# title: Is measured
# description: |
#   Whether reference values name what runs, or say that they do not. Of some kinds there are measurements beside it
#   that whoever starts a machine chooses, or that anybody's firmware states: naming those alone accepts anything.
# scope: document
is_measured(one) if {
	named := object.keys(one.measurements)
	count(object.get(telling, one.kind, named) & named) > 0
}

is_measured(one) if one.unmeasured == true

# METADATA
# title: Telling
# description: By kind of evidence, the measurements that tell what runs; of any other kind each does.
telling := {
	"azure": {"author_key_digest", "id_key_digest", "measurement"},
	"nitro": {"pcr0", "pcr8"},
	"sgx": {"mrenclave", "mrsigner"},
	"snp": {"author_key_digest", "id_key_digest", "measurement"},
	"tdx": {"mrtd"},
}

# METADATA
# title: Others allowed
# description: How many other subjects may have proven something of the same platform; none where nothing is said.
others_allowed(one) := most if {
	most := object.get(one, "platform_others", 0)
	is_number(most)
}
