"""``GET /v1/rounds/{id}``, its ``verdicts``, and ``/v1/devices/{id}/updates``: what became of updates, and why."""

import json
import re

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.paging import Cursor, digest_of
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found, problem
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES, Services
from controlplane.contracts.base import is_identifier
from controlplane.contracts.decision import MAX_PAGE_TOKEN
from controlplane.contracts.judged import MAX_JUDGED, DeviceUpdates, RoundDetail, RoundVerdicts

DEFAULT_LIMIT = 50

_UNKNOWN = "unknown"
_LIMIT = re.compile(r"[0-9]{1,3}")


async def read_round(request: web.Request) -> web.Response:
    """Return a round, whose updates went into its model, and whose did not."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    name = request.match_info["id"]
    await administer(request, caller, "behaviour:read", "behaviour", name if is_identifier(name) else _UNKNOWN)
    found = await services.training.judgements.detail(name, services.clock())
    if found is None:
        raise not_found("round")
    return reply(found)


async def read_verdicts(request: web.Request) -> web.Response:
    """Return what became of each update of a round: its evidence, its verdict, and why."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    name = request.match_info["id"]
    limit, token = _asked(request, {"limit", "page_token"})
    await administer(request, caller, "behaviour:read", "behaviour", name if is_identifier(name) else _UNKNOWN)
    asker = digest_of(json.dumps([caller.id, "verdicts", name]))
    after = _place(services, token, asker)
    if not is_identifier(name) or await services.training.rounds.get(name) is None:
        raise not_found("round")
    found = await services.training.judgements.of_round(name, after, limit)
    following = ""
    if len(found) == limit:
        cursor = Cursor(after=found[-1].subject, properties=digest_of("verdicts"))
        following = services.pages.make(cursor, asker)
    return reply(RoundVerdicts(updates=found, next_token=following))


async def read_updates(request: web.Request) -> web.Response:
    """Return what became of a device's updates to the latest rounds: its evidence over time."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    name = request.match_info["id"]
    if not is_identifier(name):
        raise not_found("device")
    limit, _ = _asked(request, {"limit"})
    await administer(request, caller, "behaviour:read", "behaviour", name, name)
    if await services.registry.get(name) is None:
        raise not_found("device")
    return reply(DeviceUpdates(updates=await services.training.judgements.of_subject(name, limit)))


def _asked(request: web.Request, known: set[str]) -> tuple[int, str | None]:
    """Return how many are asked for, and the token of the page.

    Raises:
        ProblemError: 400 for a parameter that is not known, is given twice, or does not fit.
    """
    given = dict(request.query)
    is_twice = len(given) != len(request.query)
    if is_twice or given.keys() - known:
        what = "A parameter is given twice" if is_twice else "A parameter is not known"
        raise problem("invalid-request", 400, what, f"Known are {', '.join(sorted(known))}.")
    limit = given.get("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_JUDGED:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_JUDGED}.")
    return int(limit), given.get("page_token")


def _place(services: Services, token: str | None, asker: str) -> str:
    if token is None:
        return ""
    cursor = services.pages.read(token, asker)
    if cursor is None or cursor.after is None:
        detail = "It has expired, or was given to another caller or for another round. Begin again without a token."
        raise problem("invalid-request", 400, "The page that is asked for cannot be given", detail)
    return cursor.after


_LIMITED = Parameter(
    "limit",
    "query",
    "Updates at most.",
    {"type": "integer", "minimum": 1, "maximum": MAX_JUDGED, "default": DEFAULT_LIMIT},
)
_PAGED = Parameter(
    "page_token", "query", "`next_token` of the page before.", {"type": "string", "maxLength": MAX_PAGE_TOKEN}
)

ROUTES = (
    Route(
        "GET",
        "/v1/rounds/{id}",
        read_round,
        "Read a round: whose updates went into its model, and whose did not",
        replies={200: RoundDetail},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "GET",
        "/v1/rounds/{id}/verdicts",
        read_verdicts,
        "List what became of each update of a round, on which evidence, and why",
        replies={200: RoundVerdicts},
        problems=(400, 401, 403, 404, 429, 503),
        proof=True,
        people=True,
        parameters=(_LIMITED, _PAGED),
    ),
    Route(
        "GET",
        "/v1/devices/{id}/updates",
        read_updates,
        "List what became of a device's updates to the latest rounds, newest first",
        replies={200: DeviceUpdates},
        problems=(400, 401, 403, 404, 429, 503),
        proof=True,
        people=True,
        parameters=(_LIMITED,),
    ),
)
