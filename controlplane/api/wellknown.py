"""``/.well-known``: the keys that verify capabilities, and AuthZEN's metadata."""

import json

from aiohttp import web

from controlplane.api.routing import Route
from controlplane.api.services import SERVICES


async def keys(request: web.Request) -> web.Response:
    """The public signing keys (RFC 7517)."""
    body = json.dumps(request.app[SERVICES].jwks())
    return web.Response(text=body, content_type="application/jwk-set+json", headers={"Cache-Control": "max-age=60"})


async def authzen(request: web.Request) -> web.Response:
    """Where the AuthZEN endpoints are (AuthZEN 1.0, policy decision point metadata)."""
    base = request.app[SERVICES].public_url
    document = {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
    }
    return web.Response(text=json.dumps(document), content_type="application/json")


ROUTES = (
    Route("GET", "/.well-known/jwks.json", keys, "The keys that verify capabilities"),
    Route("GET", "/.well-known/authzen-configuration", authzen, "AuthZEN metadata"),
)
