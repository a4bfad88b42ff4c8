"""``/v1/gateway/decisions``: gateways ask what becomes of prompts and answers; content itself never comes here."""

from aiohttp import web

from controlplane.api.authentication import as_known_now, authenticate
from controlplane.api.problems import refused
from controlplane.api.reading import address_of, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.content import ContentReport
from controlplane.contracts.decision import ContentAnswer
from controlplane.decisions.content import PACKAGE, content_facts, of_reporter


async def decide_content(request: web.Request) -> web.Response:
    """Decide on what a gateway found; a denial is 200 with ``decision: false``, and 403 where it may not ask at all."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    report = await read_body(request, ContentReport)
    gateway = await as_known_now(request, caller)
    device = await services.registry.get(report.subject)
    facts = content_facts(
        report,
        gateway,
        address_of(request),
        device,
        services.interventions.excepted,
        services.interventions.held,
        services.clock(),
    )
    decision = await services.decider.decide(PACKAGE, facts)
    services.metrics.content.decided(report.direction, decision)
    if decision.outcome == "error":
        raise refused(decision)
    not_asked = of_reporter(decision)
    if not_asked is not None:
        raise refused(not_asked)
    return reply(
        ContentAnswer(
            decision=decision.allowed,
            decision_id=decision.id,
            policy_revision=decision.policy_revision,
            ttl_seconds=decision.ttl_seconds,
            reasons=decision.reasons,
            obligations=decision.obligations,
        )
    )


ROUTES = (
    Route(
        "POST",
        "/v1/gateway/decisions",
        decide_content,
        "Ask what becomes of a prompt or an answer",
        body=ContentReport,
        replies={200: ContentAnswer},
        problems=(400, 401, 403, 408, 413, 415, 429, 503),
        proof=True,
    ),
)
