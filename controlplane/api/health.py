"""``/livez``, ``/readyz`` and ``/metrics``."""

import json

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import bears_token
from controlplane.api.people import authenticate_administrator
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.policies import LayerStanding


async def live(_request: web.Request) -> web.Response:
    """The process answers."""
    return web.Response(text="ok\n")


async def ready(request: web.Request) -> web.Response:
    """200 when decisions can be given, else 503; either way each part by name."""
    state = await request.app[SERVICES].readiness()
    body = {
        "ready": state.ready,
        "engine": state.policies.engine,
        "checks": dict(state.checks),
        "policy_revision": state.policy_revision,
        "policy_age_seconds": state.policy_age_seconds,
        "policies": [_layer(layer) for layer in state.policies.layers],
    }
    return web.Response(text=json.dumps(body), status=200 if state.ready else 503, content_type="application/json")


async def metrics(request: web.Request) -> web.Response:
    """Prometheus exposition, for the holder of its token and for those whom policy lets read it."""
    services = request.app[SERVICES]
    if not bears_token(request, services.access.metrics_token, "metrics_token"):
        caller = await authenticate_administrator(request)
        await administer(request, caller, "metrics:read", "metrics", "metrics")
    body, content_type = await services.exposition(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


def _layer(standing: LayerStanding) -> dict[str, object]:
    release = standing.release
    return {
        "layer": standing.layer,
        "active_revision": standing.active_revision,
        "released_revision": release.revision if release is not None else "",
        "age_seconds": standing.age_seconds,
        "refused": standing.refusal.reason if standing.refusal is not None else None,
    }


ROUTES = (
    Route("GET", "/livez", live, "Whether the process answers", media_type="text/plain"),
    Route("GET", "/readyz", ready, "Whether decisions can be given, part by part", replies={200: None, 503: None}),
    Route(
        "GET",
        "/metrics",
        metrics,
        "Prometheus metrics",
        problems=(401, 403, 429, 503),
        proof=True,
        people=True,
        media_type="text/plain",
    ),
)
