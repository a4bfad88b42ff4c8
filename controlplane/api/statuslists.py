"""``/v1/status-lists``: one bit for each capability, for enforcement points that poll."""

import re

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.problems import not_found
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.capabilities.statuslist import PATH
from controlplane.capabilities.statustokens import MEDIA_TYPE, TTL_SECONDS

_WINDOW = re.compile(r"0|[1-9][0-9]{0,11}")


async def read_status_list(request: web.Request) -> web.Response:
    """Return a Status List Token; only lists in which living capabilities stand are there."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    named = request.match_info["id"]
    is_number = _WINDOW.fullmatch(named) is not None
    await administer(request, caller, "status_list:read", "status_list", named if is_number else "unknown")
    token = await services.revocation.status_lists.token(int(named)) if is_number else None
    if token is None:
        raise not_found("status list")
    headers = {"Cache-Control": f"private, max-age={TTL_SECONDS}"}
    return web.Response(body=token.encode(), content_type=MEDIA_TYPE, headers=headers)


ROUTES = (
    Route(
        "GET",
        PATH + "/{id}",
        read_status_list,
        "Read a Token Status List of the capabilities that were issued within ten minutes",
        problems=(401, 403, 404, 429, 503),
        proof=True,
        media_type=MEDIA_TYPE,
    ),
)
