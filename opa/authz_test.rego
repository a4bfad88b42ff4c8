package system.authz_test

import data.system.authz

token := "a-token-that-only-the-control-plane-holds"

runtime := {"env": {"ZTFM_OPA_TOKEN": token}}

without_token := {"env": {"PATH": "/bin"}}

with_empty_token := {"env": {"ZTFM_OPA_TOKEN": ""}}

asked := {
	"base": {"method": "POST", "path": ["v1", "data", "ztfm", "batch"]},
	"decisions": {"method": "POST", "path": ["v1", "data", "combined", "batch"]},
	"metrics": {"method": "GET", "path": ["metrics"]},
	"one package": {"method": "GET", "path": ["v1", "data", "ztfm", "inference", "decision"]},
	"policies": {"method": "GET", "path": ["v1", "policies"]},
	"revision": {"method": "GET", "path": ["v1", "data", "system", "bundles", "ztfm"]},
}

refused := {
	"ad-hoc query": {"method": "POST", "path": ["v1", "query"]},
	"all data": {"method": "GET", "path": ["v1", "data"]},
	"another package": {"method": "POST", "path": ["v1", "data", "system", "authz"]},
	"combination": {"method": "POST", "path": ["v1", "data", "combined", "narrowed"]},
	"configuration": {"method": "GET", "path": ["v1", "config"]},
	"delete a policy": {"method": "DELETE", "path": ["v1", "policies", "ztfm/batch/batch.rego"]},
	"delete data": {"method": "DELETE", "path": ["v1", "data", "ztfm"]},
	"old data API": {"method": "POST", "path": ["v0", "data", "ztfm", "batch"]},
	"partial evaluation, which runs what it is given": {"method": "POST", "path": ["v1", "compile"]},
	"partial evaluation of a package": {"method": "POST", "path": ["v1", "compile", "ztfm", "batch"]},
	"patch data": {"method": "PATCH", "path": ["v1", "data", "ztfm", "limits"]},
	"put a policy": {"method": "PUT", "path": ["v1", "policies", "mine"]},
	"layer": {"method": "POST", "path": ["v1", "data", "site", "batch"]},
	"expected layers": {"method": "PATCH", "path": ["v1", "data", "layers"]},
	"put data": {"method": "PUT", "path": ["v1", "data", "ztfm", "limits"]},
	"root": {"method": "POST", "path": []},
}

test_the_token_opens_what_the_control_plane_needs if {
	every request in asked {
		authz.allow with input as object.union(request, {"identity": token}) with opa.runtime as runtime
	}
}

test_the_token_opens_nothing_else if {
	every request in refused {
		not authz.allow with input as object.union(request, {"identity": token}) with opa.runtime as runtime
	}
}

test_another_token_opens_nothing if {
	every request in asked {
		not authz.allow with input as object.union(request, {"identity": "guess"}) with opa.runtime as runtime
	}
}

test_no_token_opens_nothing if {
	every request in asked {
		not authz.allow with input as request with opa.runtime as runtime
	}
}

test_without_a_token_in_the_environment_nothing_opens if {
	every request in asked {
		not authz.allow with input as request with opa.runtime as without_token
		not authz.allow with input as object.union(request, {"identity": ""}) with opa.runtime as without_token
		not authz.allow with input as object.union(request, {"identity": null}) with opa.runtime as without_token
	}
}

test_an_empty_token_in_the_environment_opens_nothing if {
	every request in asked {
		not authz.allow with input as object.union(request, {"identity": ""}) with opa.runtime as with_empty_token
	}
}

test_health_needs_no_token if {
	authz.allow with input as {"method": "GET", "path": ["health"]} with opa.runtime as without_token
}

test_health_is_only_read if {
	not authz.allow with input as {"method": "POST", "path": ["health"]} with opa.runtime as runtime
	not authz.allow with input as {"method": "GET", "path": ["health", "custom"]} with opa.runtime as runtime
}
