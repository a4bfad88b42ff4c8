"""``/v1/budgets``: gateways lease parts of budgets and settle them; operators see how budgets stand."""

import re
from typing import Any, get_args

from aiohttp import web
from pydantic import TypeAdapter

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import exhausted, problem, refused, unavailable
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.contracts.base import Identifier, is_identifier
from controlplane.contracts.budgets import (
    MAX_STANDINGS,
    BudgetLease,
    BudgetScope,
    BudgetsFound,
    LeaseRequest,
    Settlements,
    SettlementsTaken,
)

BOOK = "budgets"
"""The name of all budgets together, where policy decides about no single one."""

DEFAULT_LIMIT = 50
_LIMIT = re.compile(r"[0-9]{1,3}")
_NAME: TypeAdapter[str] = TypeAdapter(Identifier)
_SCOPES: tuple[BudgetScope, ...] = get_args(BudgetScope)


async def lease_budget(request: web.Request) -> web.Response:
    """Lease a part of the budgets of a subject, a model and the subject's segment to the gateway that asks."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    body = await read_body(request, LeaseRequest)
    await administer(request, caller, "budget:lease", "budget", body.subject)
    device = await services.registry.get(body.subject)
    found = await services.budgets.allowances.lease(caller.id, body, device)
    if found.lease is not None:
        return reply(found.lease, 201)
    if found.retry_after is not None:
        raise exhausted(found.decision, found.retry_after)
    if not found.decision.allowed:
        raise refused(found.decision)
    raise unavailable("Policy does not say what of which budgets is leased; nothing was.", found.decision.id)


async def settle_budget(request: web.Request) -> web.Response:
    """Count what was used of leases, and give back what is left; a lease that was settled before stays as it is."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    body = await read_body(request, Settlements)
    await administer(request, caller, "budget:lease", "budget", BOOK)
    return reply(SettlementsTaken(settled=await services.budgets.allowances.settle(caller.id, body.settlements)))


async def list_budgets(request: web.Request) -> web.Response:
    """Return how budgets stand in their current windows, the fullest first. A device reads its own."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    scope, name, limit = _asked(request)
    owner = name if scope == "subject" else None
    await administer(request, caller, "budget:read", "budget", owner or BOOK, owner)
    return reply(BudgetsFound(budgets=await services.budgets.allowance_book.page(services.clock(), scope, name, limit)))


def _asked(request: web.Request) -> tuple[BudgetScope | None, str | None, int]:
    if len(set(request.query)) != len(request.query) or request.query.keys() - {"scope", "id", "limit"}:
        what = "A parameter is given twice, or is not known"
        raise problem("invalid-request", 400, what, "Known are id, limit and scope.")
    asked, limit = request.query.get("scope"), request.query.get("limit", str(DEFAULT_LIMIT))
    scope: Any = asked
    if asked is not None and asked not in _SCOPES:
        raise problem("invalid-request", 400, "There is no such budget", f"It is of a {', a '.join(_SCOPES)}.")
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_STANDINGS:
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_STANDINGS}.")
    name = request.query.get("id")
    if name is not None and not is_identifier(name):
        raise problem("invalid-request", 400, "The id does not fit", "It names a device, a model or a segment.")
    return scope, name, int(limit)


_PROBLEMS = (400, 401, 403, 408, 413, 415, 429, 503)

ROUTES = (
    Route(
        "POST",
        "/v1/budgets/leases",
        lease_budget,
        "Lease a part of the budgets of a subject, a model and a segment",
        body=LeaseRequest,
        replies={201: BudgetLease},
        problems=_PROBLEMS,
        proof=True,
    ),
    Route(
        "POST",
        "/v1/budgets/settlements",
        settle_budget,
        "Settle leases: say what was used, and give back the rest",
        body=Settlements,
        replies={200: SettlementsTaken},
        problems=_PROBLEMS,
        proof=True,
    ),
    Route(
        "GET",
        "/v1/budgets",
        list_budgets,
        "List how budgets of inference stand",
        replies={200: BudgetsFound},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=(
            Parameter("scope", "query", "Whose budgets.", {"type": "string", "enum": list(_SCOPES)}),
            Parameter(
                "id",
                "query",
                "That of this device, model or segment.",
                _NAME.json_schema(),
            ),
            Parameter(
                "limit",
                "query",
                "Budgets at most.",
                {"type": "integer", "minimum": 1, "maximum": MAX_STANDINGS, "default": DEFAULT_LIMIT},
            ),
        ),
    ),
)
