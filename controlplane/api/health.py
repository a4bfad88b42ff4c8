"""``/livez``, ``/readyz`` and ``/metrics``."""

import json

from aiohttp import web

from controlplane.api.routing import Route
from controlplane.api.services import SERVICES


async def live(_request: web.Request) -> web.Response:
    """The process answers."""
    return web.Response(text="ok\n")


async def ready(request: web.Request) -> web.Response:
    """200 when decisions can be given, else 503; either way each part by name."""
    state = await request.app[SERVICES].readiness()
    body = {"ready": state.ready, "checks": dict(state.checks), "policy_revision": state.policy_revision}
    return web.Response(text=json.dumps(body), status=200 if state.ready else 503, content_type="application/json")


async def metrics(request: web.Request) -> web.Response:
    """Prometheus exposition."""
    body, content_type = request.app[SERVICES].metrics.expose()
    return web.Response(body=body, headers={"Content-Type": content_type})


ROUTES = (
    Route("GET", "/livez", live, "Whether the process answers"),
    Route("GET", "/readyz", ready, "Whether decisions can be given, part by part", replies={200: None, 503: None}),
    Route("GET", "/metrics", metrics, "Prometheus metrics"),
)
