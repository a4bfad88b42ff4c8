"""``/v1/alerts``: Alertmanager tells of alerts, and policy says what is held because of them."""

from aiohttp import web

from controlplane.api.authentication import bears_token
from controlplane.api.problems import ProblemError, problem, refused, too_many
from controlplane.api.reading import address_of, neighbourhood, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.alerts import MAX_ALERT_BODY_BYTES, AlertDelivery, AlertsAnswered
from controlplane.decisions.alerts import AlertUndecided, is_ahead

CALLER = "alertmanager"
"""Whose allowance of requests it is: whoever holds the token."""


async def tell_alerts(request: web.Request) -> web.Response:
    """Decide on the alerts of a delivery, each by itself, and answer what became of them.

    A delivery that is sent again changes nothing more. After 503 it should be: what came before the fault was carried
    out, and is not done twice.
    """
    services = request.app[SERVICES]
    if not bears_token(request, services.access.alerts_token, "alerts_token"):
        raise await _without_token(request)
    wait = await services.limits.callers.take(CALLER)
    if wait:
        raise too_many(wait)
    delivery = await read_body(request, AlertDelivery, MAX_ALERT_BODY_BYTES)
    now = services.clock()
    if any(is_ahead(alert, now) for alert in delivery.alerts):
        raise problem("alerts-untimely", 422, "An alert is of a time that has not come", "Compare the clocks.")
    if await services.interventions.alerts.are_untimely(delivery.alerts):
        raise problem("alerts-untimely", 422, "The alerts are too old to be acted upon", "A person has to look.")
    try:
        return reply(
            AlertsAnswered(alerts=await services.interventions.alerts.respond(delivery.receiver, delivery.alerts))
        )
    except AlertUndecided as undecided:
        raise refused(undecided.decision) from None


async def _without_token(request: web.Request) -> ProblemError:
    services = request.app[SERVICES]
    services.metrics.edge.authentications.labels("alerts_token", "refused").inc()
    services.metrics.capabilities.refused("wrong_token")
    wait = await services.limits.strangers.take(neighbourhood(address_of(request)))
    if wait:
        return too_many(wait)
    return problem(
        "unauthenticated",
        401,
        "The request does not bear the token that opens this route",
        "Send `Authorization: Bearer` and what the alerts' token file of the control plane holds.",
        headers={"WWW-Authenticate": "Bearer"},
        cause="wrong_token",
    )


ROUTES = (
    Route(
        "POST",
        "/v1/alerts",
        tell_alerts,
        "Tell of alerts, as Alertmanager's webhook does",
        body=AlertDelivery,
        replies={200: AlertsAnswered},
        problems=(400, 401, 408, 413, 415, 422, 429, 503),
        scheme="alertsToken",
    ),
)
