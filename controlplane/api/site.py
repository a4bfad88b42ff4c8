"""``/v1/site/decisions``: devices hand in what their sites decided by themselves."""

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.reading import MAX_BODY_BYTES, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.identity import Device
from controlplane.contracts.site import SiteReports, SiteReportsTaken
from controlplane.decisions.sites import take_in


async def report_decisions(request: web.Request) -> web.Response:
    """Put decisions of the caller's site on record. They count for nothing else: nothing follows from them here."""
    services = request.app[SERVICES]
    caller = await authenticate(request)
    body = await read_body(request, SiteReports, MAX_BODY_BYTES)
    return await services.repeats.once(request, caller.id, lambda: _report(request, caller, body))


async def _report(request: web.Request, caller: Device, body: SiteReports) -> web.Response:
    services = request.app[SERVICES]
    await administer(request, caller, "site:report", "site", caller.id, caller.id)
    # Each one is a record: many at once are no way to write more of them than requests may.
    await services.limits.callers.charge(caller.id, len(body.statements) - 1)
    taken = await take_in(services.transparency.log, services.metrics.sites, caller, body.statements, services.clock())
    return reply(taken)


ROUTES = (
    Route(
        "POST",
        "/v1/site/decisions",
        report_decisions,
        "Report what the caller's site decided by itself",
        body=SiteReports,
        replies={200: SiteReportsTaken},
        problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
        idempotent=True,
    ),
)
