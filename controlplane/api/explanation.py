"""``/v1/decisions/{id}/explanation``: why something was decided, and what would have helped."""

import re

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.api.trying import tried
from controlplane.contracts.explanation import DecisionExplanation

_ID = re.compile(r"dec-[0-9a-f]{32}")


async def explain_decision(request: web.Request) -> web.Response:
    """Return why something was decided: each requirement, whether it held, where its rule is, and what did not hold.

    The policies are those that decided, where they are kept. Lines of theirs and values of others' requests are told
    too, so whoever may read a decision for being its subject alone may not read this.
    """
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    identifier = request.match_info["id"]
    if not _ID.fullmatch(identifier):
        raise not_found("decision")
    await administer(request, caller, "decision:read", "decision", identifier)
    record = await services.transparency.log.get(identifier)
    if record is None:
        raise not_found("decision")
    found = await tried(request, services.workbench.explain(record, caller.id))
    if found is None:
        raise not_found("decision")
    return reply(found)


ROUTES = (
    Route(
        "GET",
        "/v1/decisions/{id}/explanation",
        explain_decision,
        "Why something was decided, and what would have been allowed",
        replies={200: DecisionExplanation},
        problems=(401, 403, 404, 422, 429, 501, 503),
        proof=True,
        people=True,
    ),
)
