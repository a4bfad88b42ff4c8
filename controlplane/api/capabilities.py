"""``/v1/capabilities``: decide, then mint."""

from aiohttp import web

from controlplane.api.authentication import Authenticated, identify
from controlplane.api.granting import grant, scheme_of_token
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES, Services
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.capability import Capability, CapabilityRequest
from controlplane.contracts.identity import Device


async def request_capability(request: web.Request) -> web.Response:
    """Hand out a capability for one action on one resource at one audience, if policy allows it."""
    services = request.app[SERVICES]
    caller = await identify(request)
    device = caller.device
    body = await read_body(request, CapabilityRequest)
    return await services.repeats.once(
        request, device.id, lambda: _issue(request, caller, body), lambda kept: _as_good(services, device, kept)
    )


async def _issue(request: web.Request, caller: Authenticated, body: CapabilityRequest) -> web.Response:
    granted = await grant(request, caller, body)
    capability = Capability(
        access_token=granted.token,
        token_type=scheme_of_token(granted.claims.cnf),
        expires_in=granted.claims.exp - granted.claims.iat,
        decision_id=granted.decision.id,
        policy_revision=granted.decision.policy_revision,
    )
    return reply(capability, 201)


def _as_good(services: Services, device: Device, kept: bytes) -> bytes | None:
    """Return a capability that was handed out before with what is left of its life; none when it no longer holds."""
    capability = Capability.model_validate_json(kept)
    claims = services.capabilities.verifier.recognise(capability.access_token)
    if isinstance(claims, Refused) or device.status != "active":
        return None
    left = capability.model_copy(update={"expires_in": claims.exp - services.clock()})
    return left.model_dump_json(exclude_none=True).encode()


ROUTES = (
    Route(
        "POST",
        "/v1/capabilities",
        request_capability,
        "Ask for a capability; a denial says what is missing",
        body=CapabilityRequest,
        replies={201: Capability},
        problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
        idempotent=True,
    ),
)
