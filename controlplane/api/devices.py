"""``/v1/devices``: enrolment."""

from typing import Any

from aiohttp import web

from controlplane.api.authentication import prove
from controlplane.api.problems import problem, refused, too_many
from controlplane.api.reading import address_of, neighbourhood, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES, Services
from controlplane.capabilities.proof import Proof
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Attestation, Device, Enrolled, EnrolmentGrant, EnrolmentRequest
from controlplane.identifiers.names import device_id


async def enrol(request: web.Request) -> web.Response:
    """Register the key that signed this request's proof, against a single-use token, if policy allows it."""
    services = request.app[SERVICES]
    wait = services.strangers.take(neighbourhood(address_of(request)))
    if wait:
        raise too_many(wait)
    proof = prove(request, services.newcomers)
    body = await read_body(request, EnrolmentRequest)
    return await services.repeats.once(request, device_id(proof.thumbprint), lambda: _enrol(request, proof, body))


async def _enrol(request: web.Request, proof: Proof, body: EnrolmentRequest) -> web.Response:
    services = request.app[SERVICES]
    identifier = device_id(proof.thumbprint)
    grant = await services.tokens.lookup(body.token)
    facts = _facts(services, body, identifier, grant, address_of(request))
    decision = await services.decider.decide("enrolment", facts)
    services.metrics.enrolments.labels(decision.outcome).inc()
    if not decision.allowed:
        raise refused(decision)
    device = _newcomer(services, body, proof, identifier, decision)
    if not await services.registry.enrol(body.token, device):
        raise problem("conflict", 409, "The token was used, or the key is enrolled already", "Ask for a new token.")
    services.metrics.quarantines.labels(services.metrics.segment(device.segment))
    if "administrator" in device.roles:
        await services.access.on_administrator()
    enrolled = Enrolled(
        id=device.id,
        key_thumbprint=device.key_thumbprint,
        roles=device.roles,
        segment=device.segment,
        issuer=services.public_url,
    )
    return reply(enrolled, 201)


def _facts(
    services: Services, body: EnrolmentRequest, identifier: str, grant: EnrolmentGrant | None, address: str
) -> dict[str, Any]:
    token: dict[str, Any] = {"valid": False, "uses": 0, "expires_at": 0.0, "roles": [], "segment": ""}
    if grant is not None:
        token = {"valid": True, **grant.model_dump()}
    return {
        "subject": {
            "type": "device",
            "id": identifier,
            "properties": {"roles": body.roles, "segment": body.segment},
        },
        "action": {"name": "enrol"},
        "resource": {"type": "federation", "id": services.federation},
        "context": {
            "time": services.clock(),
            "network": {"address": address},
            "token": token,
            "proof": {"verified": True},
        },
    }


def _newcomer(services: Services, body: EnrolmentRequest, proof: Proof, identifier: str, decision: Decision) -> Device:
    return Device(
        id=identifier,
        key=proof.key,
        key_thumbprint=proof.thumbprint,
        roles=body.roles,
        segment=body.segment,
        status="active",
        attestation=Attestation(),
        trust=services.newcomer_trust,
        enrolled_at=decision.time,
    )


ROUTES = (
    Route(
        "POST",
        "/v1/devices",
        enrol,
        "Enrol the key that signs the request's DPoP proof, with a single-use token",
        body=EnrolmentRequest,
        replies={201: Enrolled},
        problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
        idempotent=True,
    ),
)
