"""``/v1/behaviour/signals``: gateways report how subjects use models."""

import asyncio

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.problems import unavailable
from controlplane.api.reading import MAX_BODY_BYTES, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.identity import Device
from controlplane.contracts.signals import SignalReports, SignalsTaken
from controlplane.decisions.responding import Contended
from controlplane.decisions.watching import Unjudged

SIGNALS = "context.signals"
"""What policy must take the reporter's word for."""


async def report_signals(request: web.Request) -> web.Response:
    """Judge reported windows; the answer says how many count, and nothing of what was made of them."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    body = await read_body(request, SignalReports, MAX_BODY_BYTES)
    return await services.repeats.once(request, caller.id, lambda: _report(request, caller, body))


async def _report(request: web.Request, caller: Device, body: SignalReports) -> web.Response:
    services = request.app[SERVICES]
    asked = await administer(request, caller, "behaviour:report", "behaviour", "signals")
    if SIGNALS not in asked.obligations.may_assert:
        return reply(SignalsTaken(judged=0, passed_over=len(body.signals)))
    try:
        # Whoever gives up waiting must not have half of it judged.
        return reply(await asyncio.shield(services.behaviour.signals.report(caller.id, body.signals)))
    except Unjudged:
        raise unavailable("Policy does not say how behaviour is judged; nothing of this was counted.") from None
    except Contended:
        raise unavailable(
            "Others report on the same devices at the same time; what of this was not judged is passed over."
        ) from None


ROUTES = (
    Route(
        "POST",
        "/v1/behaviour/signals",
        report_signals,
        "Report how subjects use models",
        body=SignalReports,
        replies={200: SignalsTaken},
        problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
        idempotent=True,
    ),
)
