# METADATA
# title: Authorisation of OPA's own API
# description: |
#   Whether OPA answers an HTTP request. The token is the one in `ZTFM_OPA_TOKEN`; without it, or with an empty one,
#   only health is told. Nobody writes: policy and data come from the bundle alone, so that its revision names them all.
package system.authz

# METADATA
# title: Allow
# description: Whether the request is answered.
# entrypoint: true
# scope: document
default allow := false

# Up or not, and nothing more; an orchestrator asks without a token.
allow if {
	input.method == "GET"
	input.path == ["health"]
}

allow if {
	is_permitted
	is_authenticated
}

# METADATA
# title: Authenticated
# description: Whether the bearer of the request holds the token.
is_authenticated if {
	token := opa.runtime().env.ZTFM_OPA_TOKEN
	token != ""
	input.identity == token
}

# METADATA
# title: Permitted
# description: What the holder of the token may ask.
# scope: document
is_permitted if {
	input.method in {"GET", "POST"}
	array.slice(input.path, 0, 3) == ["v1", "data", "ztfm"]
}

# What the layers decide together; how they are combined is read nowhere else.
is_permitted if {
	input.method in {"GET", "POST"}
	input.path == ["v1", "data", "combined", "batch"]
}

# The active bundles and their revisions.
is_permitted if {
	input.method == "GET"
	array.slice(input.path, 0, 4) == ["v1", "data", "system", "bundles"]
}

# What is loaded, for people; to change it, publish a bundle.
is_permitted if {
	input.method == "GET"
	array.slice(input.path, 0, 2) == ["v1", "policies"]
}

is_permitted if {
	input.method == "GET"
	input.path == ["metrics"]
}
