"""``/v1/capabilities``: decide, then mint."""

from aiohttp import web

from controlplane.api.deciding import decide
from controlplane.api.problems import refused
from controlplane.api.reading import address_of, authenticate, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.access import AccessRequest, Action, RequestContext, Subject
from controlplane.contracts.capability import AuthorizationDetail, Capability, CapabilityRequest, Constraints
from controlplane.contracts.decision import Decision


async def request_capability(request: web.Request) -> web.Response:
    """Hand out a capability for one action on one resource at one audience, if policy allows it."""
    services = request.app[SERVICES]
    device = await authenticate(request)
    body = await read_body(request, CapabilityRequest)
    access = AccessRequest(
        subject=Subject(type="device", id=device.id),
        action=Action(name=body.action),
        resource=body.resource,
        context=RequestContext(
            purpose=body.context.purpose, round_id=body.context.round_id, inference=body.context.inference
        ),
    )
    decision = await decide(services, access, device, address_of(request))
    if not decision.allowed:
        raise refused(decision)
    token, claims = services.minter.mint(
        subject=device.id,
        thumbprint=device.key_thumbprint,
        audience=body.audience,
        detail=AuthorizationDetail(
            type="ztfm",
            action=body.action,
            resource_type=body.resource.type,
            resource_id=body.resource.id,
            constraints=constraints_of(body, decision),
        ),
        decision_id=decision.id,
        policy_revision=decision.policy_revision,
        ttl_seconds=decision.ttl_seconds,
    )
    services.metrics.capabilities_issued.labels(body.action).inc()
    capability = Capability(
        access_token=token,
        expires_in=claims.exp - claims.iat,
        decision_id=decision.id,
        policy_revision=decision.policy_revision,
    )
    return reply(capability, 201)


def constraints_of(body: CapabilityRequest, decision: Decision) -> Constraints:
    """Return the limits that a capability carries: what was asked for and decided, and nothing wider."""
    digest = body.resource.properties.digest if body.resource.properties else None
    if body.action == "gradient_submission":
        return Constraints(round_id=body.context.round_id, one_time=True)
    if body.action == "inference":
        obligations = decision.obligations
        return Constraints(max_output_tokens=obligations.max_output_tokens, detail=obligations.detail)
    return Constraints(round_id=body.context.round_id, model_digest=digest, purpose=body.context.purpose)


ROUTES = (
    Route(
        "POST",
        "/v1/capabilities",
        request_capability,
        "Ask for a capability; a denial says what is missing",
        body=CapabilityRequest,
        replies={201: Capability},
        problems=(400, 401, 403, 408, 413, 415, 429, 503),
        proof=True,
    ),
)
