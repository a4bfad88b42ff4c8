"""``/v1/decisions``: what was decided, and on which facts."""

import re

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.decision import DecisionRecord

_ID = re.compile(r"dec-[0-9a-f]{32}")


async def read_decision(request: web.Request) -> web.Response:
    """Return a recorded decision to those whom policy lets read it: operators, and the subject itself."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    identifier = request.match_info["id"]
    if not _ID.fullmatch(identifier):
        raise not_found("decision")
    record = await services.log.get(identifier)
    await administer(request, caller, "decision:read", "decision", identifier, record.subject if record else None)
    if record is None:
        raise not_found("decision")
    return reply(record)


ROUTES = (
    Route(
        "GET",
        "/v1/decisions/{id}",
        read_decision,
        "Read a recorded decision and the facts behind it",
        replies={200: DecisionRecord},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
)
