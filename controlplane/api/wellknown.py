"""``/.well-known``: the keys that verify capabilities, and the metadata of AuthZEN and OAuth."""

import hashlib
import json

from aiohttp import web

from controlplane.api.proving import TOKEN_PATH
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.oauth import (
    API_SCOPE,
    CLIENT_CREDENTIALS,
    TOKEN_EXCHANGE,
    AuthorizationServerMetadata,
    ProtectedResourceMetadata,
)

MAX_AGE_SECONDS = 60
"""How long the key set may be kept; the overlap of `Settings.key_overlap_seconds` is at least twice as long."""

AUTHZEN_MAX_AGE_SECONDS = 3600
"""How long AuthZEN's metadata may be kept: it changes with the public URL alone."""


async def keys(request: web.Request) -> web.Response:
    """The public signing keys (RFC 7517): those that sign, those that will, and those whose capabilities still hold.

    A key is here for longer than anybody may keep this document before it signs (``Cache-Control``).
    """
    body = json.dumps(request.app[SERVICES].capabilities.jwks()).encode()
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = {"Cache-Control": f"max-age={MAX_AGE_SECONDS}", "ETag": f'"{tag}"'}
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type="application/jwk-set+json", headers=headers)


async def authzen(request: web.Request) -> web.Response:
    """Where the AuthZEN endpoints are (AuthZEN 1.0, section 9).

    There are no ``capabilities``: none that this policy decision point has is registered, and what has no value is
    left out.
    """
    base = request.app[SERVICES].public_url
    document = {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
        "search_subject_endpoint": f"{base}/access/v1/search/subject",
        "search_resource_endpoint": f"{base}/access/v1/search/resource",
        "search_action_endpoint": f"{base}/access/v1/search/action",
    }
    headers = {"Cache-Control": f"max-age={AUTHZEN_MAX_AGE_SECONDS}"}
    return web.Response(text=json.dumps(document), content_type="application/json", headers=headers)


async def authorization_server(request: web.Request) -> web.Response:
    """What the token endpoint and its neighbours can do (RFC 8414)."""
    services = request.app[SERVICES]
    base, tls = services.public_url, services.access.tls_url
    paths = {
        "token_endpoint": TOKEN_PATH,
        "introspection_endpoint": "/oauth/introspect",
        "revocation_endpoint": "/oauth/revoke",
    }
    return reply(
        AuthorizationServerMetadata(
            issuer=base,
            token_endpoint=f"{base}{TOKEN_PATH}",
            jwks_uri=f"{base}/.well-known/jwks.json",
            scopes_supported=[API_SCOPE],
            response_types_supported=[],
            grant_types_supported=[TOKEN_EXCHANGE, CLIENT_CREDENTIALS],
            token_endpoint_auth_methods_supported=["private_key_jwt", "none"],
            token_endpoint_auth_signing_alg_values_supported=["ES256"],
            introspection_endpoint=f"{base}/oauth/introspect",
            introspection_endpoint_auth_methods_supported=["DPoP"],
            revocation_endpoint=f"{base}/oauth/revoke",
            revocation_endpoint_auth_methods_supported=["DPoP"],
            authorization_details_types_supported=["ztfm"],
            dpop_signing_alg_values_supported=["ES256"],
            protected_resources=[base],
            tls_client_certificate_bound_access_tokens=bool(tls),
            mtls_endpoint_aliases={name: tls + path for name, path in paths.items()} if tls else None,
        )
    )


async def protected_resource(request: web.Request) -> web.Response:
    """How this API is accessed with OAuth (RFC 9728)."""
    base = request.app[SERVICES].public_url
    return reply(
        ProtectedResourceMetadata(
            resource=base,
            authorization_servers=[base],
            jwks_uri=f"{base}/.well-known/jwks.json",
            scopes_supported=[API_SCOPE],
            bearer_methods_supported=["header"],
            resource_name="ZTFM control plane",
            dpop_signing_alg_values_supported=["ES256"],
            dpop_bound_access_tokens_required=True,
        )
    )


ROUTES = (
    Route(
        "GET",
        "/.well-known/jwks.json",
        keys,
        "The keys that verify capabilities",
        media_type="application/jwk-set+json",
    ),
    Route("GET", "/.well-known/authzen-configuration", authzen, "AuthZEN metadata"),
    Route(
        "GET",
        "/.well-known/oauth-authorization-server",
        authorization_server,
        "OAuth metadata of the token endpoint (RFC 8414)",
        replies={200: AuthorizationServerMetadata},
    ),
    Route(
        "GET",
        "/.well-known/oauth-protected-resource",
        protected_resource,
        "OAuth metadata of this API (RFC 9728)",
        replies={200: ProtectedResourceMetadata},
    ),
)
