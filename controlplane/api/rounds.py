"""``/v1/rounds``: open a round, and report the updates that were submitted to it."""

import asyncio
import secrets
from typing import Any

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import as_known_now, authenticate
from controlplane.api.deciding import MAX_TRIES
from controlplane.api.judging import judge
from controlplane.api.problems import ProblemError, not_found, problem, unavailable
from controlplane.api.reading import MAX_BODY_BYTES, address_of, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES, Services
from controlplane.contracts.decision import Decision, Obligations
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
    allowed = await _allowed(request, caller, body)
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
        privacy=allowed.obligations.privacy,
        **_hidden(allowed.obligations),
    )
    if not await services.training.rounds.open(opened):
        raise _taken()
    services.metrics.training.rounds_opened.inc()
    await _compare(services, opened)
    await _state(services, opened)
    await _vouch(services, opened)
    return reply(opened, 201)


def _hidden(obliged: Obligations) -> dict[str, Any]:
    """What the aggregator sees of updates, as fields of the round; who is in which group nobody knows beforehand."""
    mode = obliged.confidentiality or "plain"
    if mode != "grouped":
        return {"confidentiality": mode}
    if obliged.group_size is None:
        raise unavailable("Policy does not say how many members a group has, and without that no sum is made.")
    return {"confidentiality": mode, "group_size": obliged.group_size, "grouping": secrets.token_urlsafe(32)}


async def _allowed(request: web.Request, caller: Device, body: RoundRequest) -> Decision:
    """Return the decision to open a round, once the noise that the aggregator adds is charged."""
    services = request.app[SERVICES]
    for _ in range(MAX_TRIES):
        noise = await services.budgets.privacy.round(body.model)
        try:
            decision = await administer(
                request,
                caller,
                "round:create",
                "round",
                body.id,
                model=body.model,
                members=len(body.members),
                privacy=noise,
                results=await services.gatherer.proven(await as_known_now(request, caller)),
            )
        except ProblemError as refusal:
            services.budgets.privacy.denied(refusal.problem.reasons or (), body.model)
            raise
        if decision.obligations.privacy is not None and await services.training.rounds.get(body.id) is not None:
            # Nothing is charged for a round that cannot be opened.
            raise _taken()
        if await services.budgets.privacy.pay(noise, decision, body.model, caller.id):
            return decision
    raise unavailable("Others spend of the same privacy budget; no round was opened.")


def _taken() -> ProblemError:
    return problem("conflict", 409, "A round of this id exists", "Choose an id that was never used.")


async def _compare(services: Services, opened: Round) -> None:
    """Hold the aggregator to what it said of rollbacks."""
    try:
        await services.training.rollbacks.began(opened)
    except StoreUnavailable as error:
        # The round is open; the next one that it opens is compared as well.
        _log.error("rollbacks_not_compared", round_id=opened.id, error=type(error).__name__)


async def _state(services: Services, opened: Round) -> None:
    """State in the log who shaped the model that this round begins with."""
    try:
        await services.transparency.provenance.began(opened)
    except StoreUnavailable as error:
        # The round is open. What led to its model is not traced, and the trace says so.
        _log.error("provenance_not_stated", round_id=opened.id, error=type(error).__name__)


async def _vouch(services: Services, opened: Round) -> None:
    """Keep with which signed version the model of this round began."""
    try:
        await services.models.book.began(opened)
    except StoreUnavailable as error:
        # The round is open. Where the model asks for a signed base, nobody is given it.
        _log.error("base_not_kept", round_id=opened.id, error=type(error).__name__)


async def report_updates(request: web.Request) -> web.Response:
    """Judge submitted updates by their evidence; verdicts keep the report's order."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    body = await read_body(request, UpdateReports, MAX_BODY_BYTES)
    return await services.repeats.once(request, caller.id, lambda: _report(request, caller, body))


async def _report(request: web.Request, caller: Device, body: UpdateReports) -> web.Response:
    services = request.app[SERVICES]
    round_id = request.match_info["id"]
    found = await services.training.rounds.get(round_id)
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
        return await services.training.rollbacks.outstanding(found.model, found.opened_by)
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
