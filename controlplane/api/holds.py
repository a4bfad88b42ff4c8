"""``/v1/holds``: what alerts had held, for operators to see and administrators to release."""

import re
from contextlib import suppress

import structlog
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found, problem
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.contracts.base import Why
from controlplane.contracts.holds import HOLD_PREFIX, MAX_HOLDS, Hold, HoldsFound
from controlplane.storage import StoreUnavailable

BOOK = "holds"
"""The name of all holds together, where policy decides about no single one."""

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_STATES = ("current", "all")

_ID = re.compile(rf"{HOLD_PREFIX}-[0-9a-f]{{32}}")
_LIMIT = re.compile(r"[0-9]{1,3}")
_REASON: TypeAdapter[str] = TypeAdapter(Why)
_log = structlog.get_logger("ztfm.holds")


async def list_holds(request: web.Request) -> web.Response:
    """Return what is held, the latest first; with `state=all`, what was held before too."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    state, limit = _asked(request)
    await administer(request, caller, "hold:list", "hold", BOOK)
    found = await services.interventions.holds.page(services.clock(), limit, ended=state == "all")
    return reply(HoldsFound(holds=found, known=services.interventions.held.is_known, most=MAX_HOLDS))


async def release_hold(request: web.Request) -> web.Response:
    """End a hold now: it denies nothing within a second. One that has ended stays as it is."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    name, reason = request.match_info["id"], _reason(request)
    is_name = _ID.fullmatch(name) is not None
    decision = await administer(request, caller, "hold:release", "hold", name if is_name else BOOK)
    if not is_name:
        raise not_found("hold")
    now = services.clock()
    is_ended = await services.interventions.holds.release(name, caller.id, reason, now)
    found = await services.interventions.holds.get(name, now)
    if found is None:
        raise not_found("hold")
    if is_ended:
        # It is kept, so where this fails the next look at the store takes it in.
        with suppress(StoreUnavailable):
            await services.interventions.held.refresh()
        _log.info("hold_released", hold=name, by=caller.id, reason=reason, decision_id=decision.id)
    return reply(found)


def _asked(request: web.Request) -> tuple[str, int]:
    _known(request, {"state", "limit"})
    state, limit = request.query.get("state", "current"), request.query.get("limit", str(DEFAULT_LIMIT))
    if state not in _STATES:
        raise problem("invalid-request", 400, "There is no such state", f"It is one of {', '.join(_STATES)}.")
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_LIMIT:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_LIMIT}.")
    return state, int(limit)


def _reason(request: web.Request) -> str:
    _known(request, {"reason"})
    try:
        return _REASON.validate_python(request.query.get("reason"), strict=True)
    except ValidationError:
        detail = "Say why in the parameter `reason`: a sentence of up to 512 characters."
        raise problem("invalid-request", 400, "A hold is not released without a reason", detail) from None


def _known(request: web.Request, names: set[str]) -> None:
    if len(set(request.query)) != len(request.query) or request.query.keys() - names:
        what = "A parameter is given twice, or is not known"
        raise problem("invalid-request", 400, what, f"Known are {', '.join(sorted(names))}.")


ROUTES = (
    Route(
        "GET",
        "/v1/holds",
        list_holds,
        "List what is held",
        replies={200: HoldsFound},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=(
            Parameter(
                "state",
                "query",
                "What is held now, or what was held before too.",
                {"type": "string", "enum": list(_STATES), "default": "current"},
            ),
            Parameter(
                "limit",
                "query",
                "Holds at most.",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            ),
        ),
    ),
    Route(
        "DELETE",
        "/v1/holds/{id}",
        release_hold,
        "Release a hold at once",
        replies={200: Hold},
        problems=(400, 401, 403, 404, 429, 503),
        proof=True,
        people=True,
        parameters=(Parameter("reason", "query", "Why; it is kept with the hold.", _REASON.json_schema(), True),),
    ),
)
