"""``/v1/devices``: enrolment."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from controlplane.api.authentication import prove
from controlplane.api.problems import ProblemError, problem, refused, too_many
from controlplane.api.proving import base_url_of
from controlplane.api.reading import address_of, neighbourhood, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES, Services
from controlplane.capabilities.proof import Proof
from controlplane.contracts.decision import Decision
from controlplane.contracts.facts.enrolment import CertificateFact, CredentialFact, TokenFact
from controlplane.contracts.facts.subjects import AttestationFact
from controlplane.contracts.identity import Attestation, Device, Enrolled, EnrolmentRequest, EvidenceKind
from controlplane.contracts.trusthistory import TrustHistory
from controlplane.identifiers.names import device_id

_NO_TOKEN = TokenFact(valid=False, uses=0, expires_at=0.0, roles=[], segment="")


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What a newcomer showed.

    Attributes:
        kind: of it.
        fact: for policy.
        cause: why it does not hold; empty when it does, or policy alone says why.
        words: the same for whoever showed it.
    """

    kind: EvidenceKind
    fact: TokenFact | CredentialFact | CertificateFact
    cause: str = ""
    words: str = ""


async def enrol(request: web.Request) -> web.Response:
    """Register the key that signed this request's proof, by what it shows for itself, if policy allows it."""
    services = request.app[SERVICES]
    wait = await services.limits.strangers.take(neighbourhood(address_of(request)))
    if wait:
        raise too_many(wait)
    proof = await prove(request, services.proving.newcomers)
    body = await read_body(request, EnrolmentRequest)
    return await services.repeats.once(request, device_id(proof.thumbprint), lambda: _enrol(request, proof, body))


async def _enrol(request: web.Request, proof: Proof, body: EnrolmentRequest) -> web.Response:
    services = request.app[SERVICES]
    identifier = device_id(proof.thumbprint)
    shown = await _examine(request, proof, body)
    decision = await services.decider.decide(
        "enrolment", _facts(services, body, identifier, shown, address_of(request))
    )
    services.metrics.enrolments.asked.labels(shown.kind, decision.outcome).inc()
    if not decision.allowed:
        raise _explained(refused(decision), shown)
    device = _newcomer(services, body, proof, identifier, decision)
    if not await services.registry.enrol(body.token, device):
        raise problem(
            "conflict",
            409,
            "The token was used, or the key is enrolled already",
            "Ask for a new token, or use the key.",
        )
    services.metrics.behaviour.quarantines.labels(services.metrics.segment(device.segment))
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


async def _examine(request: web.Request, proof: Proof, body: EnrolmentRequest) -> _Evidence:
    """Return what the newcomer showed, examined: nothing of it is believed because it was sent."""
    services = request.app[SERVICES]
    if body.credential is not None:
        audiences = {services.public_url, base_url_of(request)}
        credential = await services.identity.credentials.examine(body.credential, proof.key, audiences)
        shown = _Evidence("credential", credential.fact, credential.fact.cause, credential.words)
    elif body.certificates is not None:
        chain = services.identity.manufacturers.examine(body.certificates, proof.key, services.clock())
        shown = _Evidence("certificate", chain.fact, chain.fact.cause, chain.words)
    else:
        grant = await services.identity.tokens.lookup(body.token or "")
        return _Evidence("token", _NO_TOKEN if grant is None else TokenFact(valid=True, **grant.model_dump()))
    if shown.cause:
        services.metrics.enrolments.evidence_refused.labels(shown.kind, shown.cause).inc()
    return shown


def _explained(refusal: ProblemError, shown: _Evidence) -> ProblemError:
    """Return the refusal, with what was wrong with what was shown."""
    if refusal.problem.status == 403 and shown.words:
        what = f"The {shown.kind} does not hold: {shown.words}. {refusal.problem.detail}"
        refusal.problem = refusal.problem.model_copy(update={"detail": what})
    return refusal


def _facts(
    services: Services, body: EnrolmentRequest, identifier: str, shown: _Evidence, address: str
) -> dict[str, Any]:
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
            shown.kind: shown.fact,
            "attestation": AttestationFact(level="none"),
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
        trust=services.behaviour.newcomer_trust,
        trust_history=TrustHistory.of(services.behaviour.newcomer_trust.score, decision.time),
        enrolled_at=decision.time,
    )


ROUTES = (
    Route(
        "POST",
        "/v1/devices",
        enrol,
        "Enrol the key that signs the request's DPoP proof, with a single-use token, an issuer's credential or a "
        "manufacturer's certificates",
        body=EnrolmentRequest,
        replies={201: Enrolled},
        problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
        idempotent=True,
    ),
)
