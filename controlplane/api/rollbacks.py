"""``/v1/rollbacks``: order that a model be rebuilt without some subjects, what became of it, and who contributed."""

from collections.abc import Mapping
from typing import Any, get_args

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found, problem
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Parameter, Route
from controlplane.api.services import SERVICES
from controlplane.contracts.base import Identifier, is_identifier
from controlplane.contracts.identity import Caller
from controlplane.contracts.rollback import (
    ContributionsFound,
    Rollback,
    RollbackOrder,
    RollbackPreview,
    RollbackResult,
    RollbackScope,
    RollbacksFound,
    RollbackState,
)
from controlplane.contracts.rounds import Round

BOOK = "rollbacks"
"""The name of all rollbacks together, where policy decides about no single round."""

MAX_LIMIT = 1000


async def order_rollback(request: web.Request) -> web.Response:
    """Order that a round's model be rebuilt without what some subjects contributed since that round."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    body = await read_body(request, RollbackOrder)
    found = await services.training.rounds.get(request.match_info["id"])
    named = found.id if found else "unknown"
    decision = await administer(request, caller, "round:rollback", "round", named, reason=body.reason)
    if found is None:
        raise not_found("round")
    return await services.repeats.once(request, caller.id, lambda: _order(request, caller, found, body, decision.id))


async def preview_rollback(request: web.Request) -> web.Response:
    """Say what an order would reach, and order nothing."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    body = await read_body(request, RollbackScope)
    found = await services.training.rounds.get(request.match_info["id"])
    await administer(request, caller, "behaviour:read", "behaviour", found.id if found else "unknown")
    if found is None:
        raise not_found("round")
    return reply(await services.training.rollbacks.preview(found, body.subjects))


async def _order(
    request: web.Request, caller: Caller, found: Round, body: RollbackOrder, decision_id: str
) -> web.Response:
    services = request.app[SERVICES]
    given = await services.training.rollbacks.request(
        found.id, found.model, body.subjects, body.reason, caller.id, decision_id
    )
    if given is None:
        detail = "None of the subjects contributed to the model in this round or a later one of its aggregator."
        raise problem("conflict", 409, "There is nothing to roll back", detail)
    if given.rollback is None:
        detail = "Too many orders for the model wait for its aggregator. See that it runs, then order anew."
        raise problem("conflict", 409, "Too many rollbacks are outstanding", detail)
    return reply(given.rollback, 201 if given.is_new else 200)


async def list_rollbacks(request: web.Request) -> web.Response:
    """Return orders, newest first, and what became of them."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    model, state, limit = _asked(request.query)
    await administer(request, caller, "behaviour:read", "behaviour", BOOK)
    return reply(RollbacksFound(rollbacks=await services.training.rollbacks.page(model, state, limit)))


async def read_contributions(request: web.Request) -> web.Response:
    """Return whose updates went into a round's model."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    found = await services.training.rounds.get(request.match_info["id"])
    await administer(request, caller, "behaviour:read", "behaviour", found.id if found else "unknown")
    if found is None:
        raise not_found("round")
    return reply(ContributionsFound(contributions=await services.training.contributions.of_round(found.id)))


async def end_rollback(request: web.Request) -> web.Response:
    """Take in what became of an order, from the aggregator that opened its first round."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    body = await read_body(request, RollbackResult)
    name = request.match_info["id"]
    found = await services.training.rollbacks.get(name) if is_identifier(name) else None
    first = await services.training.rounds.get(found.round_id) if found else None
    named, owner = (first.id, first.opened_by) if first else ("unknown", None)
    await administer(request, caller, "updates:report", "round", named, owner)
    if found is None:
        raise not_found("rollback")
    if not await services.training.rollbacks.end(found, body):
        now = await services.training.rollbacks.get(name)
        if now is None or now.state == "ordered":
            detail = "It was widened while it was carried out. It is handed out again with the next verdicts."
            raise problem("conflict", 409, "The order begins earlier than what was carried out", detail)
        if not _is_ended(now, body):
            raise problem("conflict", 409, "The rollback has ended", "What became of it was reported before.")
        return reply(now)
    ended = await services.training.rollbacks.get(name)
    return reply(ended or found)


def _is_ended(rollback: Rollback, result: RollbackResult) -> bool:
    """Whether that is what became of an order."""
    stated = result.model_dump()
    return rollback.model_dump(include=set(stated)) == stated


_MODEL: TypeAdapter[str] = TypeAdapter(Identifier)
_STATES: tuple[RollbackState, ...] = get_args(RollbackState)


def _asked(query: Mapping[str, str]) -> tuple[str | None, RollbackState | None, int]:
    given = dict(query)
    if len(given) != len(query) or given.keys() - {"model", "state", "limit"}:
        what = "A parameter is given twice, or is not known"
        raise problem("invalid-request", 400, what, "Known are limit, model and state.")
    limit, model = given.get("limit", "100"), given.get("model")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= MAX_LIMIT):
        raise problem("invalid-request", 400, "The limit does not fit", f"It is a number from 1 to {MAX_LIMIT}.")
    state = next((one for one in _STATES if one == given.get("state")), None)
    if "state" in given and state is None:
        raise problem("invalid-request", 400, "There is no such state", f"Known are {', '.join(_STATES)}.")
    try:
        return None if model is None else _MODEL.validate_python(model), state, int(limit)
    except ValidationError:
        raise problem("invalid-request", 400, "The model does not fit", "It is an identifier.") from None


_IDENTIFIER: dict[str, Any] = _MODEL.json_schema()

_PARAMETERS = (
    Parameter("model", "query", "Those of this one alone.", {"type": "string", **_IDENTIFIER}),
    Parameter("state", "query", "How they stand.", {"type": "string", "enum": list(_STATES)}),
    Parameter(
        "limit",
        "query",
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100},
    ),
)

ROUTES = (
    Route(
        "POST",
        "/v1/rounds/{id}/rollback",
        order_rollback,
        "Order that a model be rebuilt without what some subjects contributed",
        body=RollbackOrder,
        replies={201: Rollback, 200: Rollback},
        problems=(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
        people=True,
        idempotent=True,
    ),
    Route(
        "POST",
        "/v1/rounds/{id}/rollback/preview",
        preview_rollback,
        "Say what such an order would reach; nothing is ordered",
        body=RollbackScope,
        replies={200: RollbackPreview},
        problems=(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "GET",
        "/v1/rounds/{id}/contributions",
        read_contributions,
        "List whose updates went into a round's model",
        replies={200: ContributionsFound},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "GET",
        "/v1/rollbacks",
        list_rollbacks,
        "List orders to rebuild a model, newest first",
        replies={200: RollbacksFound},
        problems=(400, 401, 403, 429, 503),
        proof=True,
        people=True,
        parameters=_PARAMETERS,
    ),
    Route(
        "POST",
        "/v1/rollbacks/{id}/result",
        end_rollback,
        "Report what became of an order to rebuild a model",
        body=RollbackResult,
        replies={200: Rollback},
        problems=(400, 401, 403, 404, 408, 409, 413, 415, 429, 503),
        proof=True,
    ),
)
