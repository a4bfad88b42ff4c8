"""``/v1/privacy``: what was spent of privacy budgets, of a device, or of a data set by all who hold a part of it."""

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found, problem
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.base import is_identifier
from controlplane.contracts.privacy import PrivacyStanding

BOOK = "budgets"
"""The name of all accounts together, where policy decides about none that there is."""


async def read_device_budgets(request: web.Request) -> web.Response:
    """Return what was spent of a device's own parts of data sets, in the window and ever. A device reads its own."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    name = _named(request)
    device = await services.registry.get(name) if is_identifier(name) else None
    known = (BOOK, None) if device is None else (device.id, device.id)
    await administer(request, caller, "privacy:read", "privacy", *known)
    if device is None:
        raise not_found("device")
    return reply(await services.budgets.standings.of_device(device.id))


async def read_data_set_budget(request: web.Request) -> web.Response:
    """Return what was spent of a data set: by aggregators' noise, and by the devices that spent most of their parts."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    name = _named(request)
    await administer(request, caller, "privacy:read", "privacy", name if is_identifier(name) else BOOK)
    found = await services.budgets.standings.of_data_set(name) if is_identifier(name) else None
    if found is None:
        raise not_found("data set")
    return reply(found)


def _named(request: web.Request) -> str:
    if request.query:
        raise problem("invalid-request", 400, "This takes no parameter", "Leave the query out.")
    return request.match_info["id"]


_PROBLEMS = (400, 401, 403, 404, 429, 503)

ROUTES = (
    Route(
        "GET",
        "/v1/privacy/devices/{id}",
        read_device_budgets,
        "Read what was spent of a device's privacy budgets",
        replies={200: PrivacyStanding},
        problems=_PROBLEMS,
        proof=True,
        people=True,
    ),
    Route(
        "GET",
        "/v1/privacy/data-sets/{id}",
        read_data_set_budget,
        "Read what was spent of a data set's privacy budget",
        replies={200: PrivacyStanding},
        problems=_PROBLEMS,
        proof=True,
        people=True,
    ),
)
