"""``/v1/rounds``: open a round, and report the updates that were submitted to it."""

import asyncio

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.judging import judge
from controlplane.api.problems import not_found, problem
from controlplane.api.reading import MAX_BODY_BYTES, address_of, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES, Services
from controlplane.contracts.identity import Device
from controlplane.contracts.rollback import Rollback
from controlplane.contracts.rounds import Round, RoundRequest, UpdateReports, UpdateVerdicts
from controlplane.storage import StoreUnavailable

_log = structlog.get_logger("ztfm.rounds")


async def open_round(request: web.Request) -> web.Response:
    """Open a round; its members may pull the model and submit one update each."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    body = await read_body(request, RoundRequest, MAX_BODY_BYTES)
    return await services.repeats.once(request, caller.id, lambda: _open(request, caller, body))


async def _open(request: web.Request, caller: Device, body: RoundRequest) -> web.Response:
    services = request.app[SERVICES]
    allowed = await administer(request, caller, "round:create", "round", body.id, model=body.model)
    now = services.clock()
    opened = Round(
        id=body.id,
        model=body.model,
        model_digest=body.model_digest,
        members=body.members,
        opened_by=caller.id,
        opens_at=now,
        closes_at=now + body.duration_seconds,
        state="open",
        aggregation=allowed.obligations.aggregation or "mean",
    )
    if not await services.rounds.open(opened):
        raise problem("conflict", 409, "A round of this id exists", "Choose an id that was never used.")
    services.metrics.rounds_opened.inc()
    await _compare(services, opened)
    await _state(services, opened)
    return reply(opened, 201)


async def _compare(services: Services, opened: Round) -> None:
    """Hold the aggregator to what it said of rollbacks."""
    try:
        await services.rollbacks.began(opened)
    except StoreUnavailable as error:
        # The round is open; the next one that it opens is compared as well.
        _log.error("rollbacks_not_compared", round_id=opened.id, error=type(error).__name__)


async def _state(services: Services, opened: Round) -> None:
    """State in the log who shaped the model that this round begins with."""
    try:
        await services.provenance.began(opened)
    except StoreUnavailable as error:
        # The round is open. What led to its model is not traced, and the trace says so.
        _log.error("provenance_not_stated", round_id=opened.id, error=type(error).__name__)


async def report_updates(request: web.Request) -> web.Response:
    """Judge submitted updates by their evidence; verdicts keep the report's order."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    body = await read_body(request, UpdateReports, MAX_BODY_BYTES)
    return await services.repeats.once(request, caller.id, lambda: _report(request, caller, body))


async def _report(request: web.Request, caller: Device, body: UpdateReports) -> web.Response:
    services = request.app[SERVICES]
    round_id = request.match_info["id"]
    found = await services.rounds.get(round_id)
    named, owner = (found.id, found.opened_by) if found else ("unknown", None)
    asked = await administer(request, caller, "updates:report", "round", named, owner)
    if found is None:
        raise not_found("round")
    may_assert = asked.obligations.may_assert
    believed = "context.evidence" in may_assert and "context.verification" in may_assert
    judging = judge(services, found, body.updates, address_of(request), believed=believed, decision_id=asked.id)
    verdicts = await asyncio.shield(judging)
    return reply(UpdateVerdicts(round_id=round_id, verdicts=verdicts, rollbacks=await _outstanding(services, found)))


async def _outstanding(services: Services, found: Round) -> list[Rollback]:
    """Return the orders for a round's aggregator, those that its very report brought about among them."""
    try:
        return await services.rollbacks.outstanding(found.model, found.opened_by)
    except StoreUnavailable as error:
        # The verdicts stand, and the capabilities behind them are used up: orders come again with the next report.
        _log.error("rollbacks_not_handed_out", round_id=found.id, error=type(error).__name__)
        return []


_PROBLEMS = (400, 401, 403, 408, 409, 413, 415, 422, 429, 503)

ROUTES = (
    Route(
        "POST",
        "/v1/rounds",
        open_round,
        "Open a round",
        body=RoundRequest,
        replies={201: Round},
        problems=_PROBLEMS,
        proof=True,
        idempotent=True,
    ),
    Route(
        "POST",
        "/v1/rounds/{id}/updates",
        report_updates,
        "Report one or many updates with their evidence; verdicts keep the order",
        body=UpdateReports,
        replies={200: UpdateVerdicts},
        problems=(*_PROBLEMS, 404),
        proof=True,
        idempotent=True,
    ),
)
