"""``/v1/rounds``: open a round, and report the updates that were submitted to it."""

import asyncio

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.judging import judge
from controlplane.api.problems import not_found, problem
from controlplane.api.reading import MAX_BODY_BYTES, address_of, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.identity import Device
from controlplane.contracts.rounds import Round, RoundRequest, UpdateReports, UpdateVerdicts


async def open_round(request: web.Request) -> web.Response:
    """Open a round; its members may pull the model and submit one update each."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    body = await read_body(request, RoundRequest, MAX_BODY_BYTES)
    return await services.repeats.once(request, caller.id, lambda: _open(request, caller, body))


async def _open(request: web.Request, caller: Device, body: RoundRequest) -> web.Response:
    services = request.app[SERVICES]
    await administer(request, caller, "round:create", "round", body.id)
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
    )
    if not await services.rounds.open(opened):
        raise problem("conflict", 409, "A round of this id exists", "Choose an id that was never used.")
    services.metrics.rounds_opened.inc()
    return reply(opened, 201)


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
    verdicts = await asyncio.shield(judge(services, found, body.updates, address_of(request), believed=believed))
    return reply(UpdateVerdicts(round_id=round_id, verdicts=verdicts))


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
