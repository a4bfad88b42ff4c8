"""``/v1/devices/{id}``: how a device stands, and setting it apart, back, or out for good."""

import structlog
from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import not_found, problem
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.base import is_identifier
from controlplane.contracts.identity import Device, StatusChange

_log = structlog.get_logger("ztfm.devices")


async def read_device(request: web.Request) -> web.Response:
    """Return a registered device to those whom policy lets read it: administrators, operators, and the device."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    identifier = _named(request)
    await administer(request, caller, "device:read", "device", identifier, identifier)
    device = await services.registry.get(identifier)
    if device is None:
        raise not_found("device")
    return reply(device)


async def set_status(request: web.Request) -> web.Response:
    """Set a device's status; what it holds is void unless it is active then, and enforcement points hear of it."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    identifier = _named(request)
    body = await read_body(request, StatusChange)
    decision = await administer(
        request,
        caller,
        "device:set_status",
        "device",
        identifier,
        identifier,
        status=body.status,
        reason=body.reason,
    )
    device = await services.registry.get(identifier)
    if device is None:
        raise not_found("device")
    if not await services.registry.set_status(identifier, body.status):
        raise problem("conflict", 409, "A revoked device stays revoked", "It enrols again with a new key and token.")
    services.metrics.enrolments.status_changes.labels(body.status).inc()
    _log.warning(
        "device_status",
        device=identifier,
        status=body.status,
        was=device.status,
        reason=body.reason,
        by=caller.id,
        decision_id=decision.id,
    )
    changed = await services.registry.get(identifier)
    return reply(changed or device)


def _named(request: web.Request) -> str:
    identifier = request.match_info["id"]
    if not is_identifier(identifier):
        raise not_found("device")
    return identifier


ROUTES = (
    Route(
        "GET",
        "/v1/devices/{id}",
        read_device,
        "Read how a device stands",
        replies={200: Device},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
    Route(
        "POST",
        "/v1/devices/{id}/status",
        set_status,
        "Quarantine, release or revoke a device",
        body=StatusChange,
        replies={200: Device},
        problems=(400, 401, 403, 404, 408, 409, 413, 415, 429, 503),
        proof=True,
        people=True,
    ),
)
