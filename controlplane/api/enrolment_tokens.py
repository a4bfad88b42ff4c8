"""``/v1/enrolment-tokens``: who may enrol next, as an administrator says."""

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES, Services
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Caller, IssuedTokens, TokensRequest

HOUR_SECONDS = 3600.0
_log = structlog.get_logger("ztfm.tokens")


async def issue_tokens(request: web.Request) -> web.Response:
    """Issue single-use enrolment tokens; they are shown now and never again."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    body = await read_body(request, TokensRequest)
    # Before a kept answer is looked for: the tokens are shown again only to somebody who may still issue them.
    decision = await administer(
        request,
        caller,
        "token:issue",
        "enrolment_token",
        "enrolment-tokens",
        roles=body.roles,
        segment=body.segment,
    )
    return await services.repeats.once(request, caller.id, lambda: _issue(services, caller, body, decision))


async def _issue(services: Services, caller: Caller, body: TokensRequest, decision: Decision) -> web.Response:
    lifetime = body.hours * HOUR_SECONDS
    expires_at = services.clock() + lifetime
    tokens = await services.identity.tokens.issue(body.roles, body.segment, lifetime, body.count)
    services.metrics.enrolments.tokens_issued.inc(len(tokens))
    _log.info(
        "enrolment_issued",
        count=len(tokens),
        roles=body.roles,
        segment=body.segment,
        by=caller.id,
        decision_id=decision.id,
    )
    return reply(IssuedTokens(tokens=tokens, roles=body.roles, segment=body.segment, expires_at=expires_at), 201)


ROUTES = (
    Route(
        "POST",
        "/v1/enrolment-tokens",
        issue_tokens,
        "Issue single-use enrolment tokens",
        body=TokensRequest,
        replies={201: IssuedTokens},
        problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
        people=True,
        idempotent=True,
    ),
)
