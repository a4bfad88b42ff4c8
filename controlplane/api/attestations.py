"""``/v1/attestations`` and ``/v1/devices/{id}/attestation``: evidence, and what devices have proven (RFC 9334)."""

from aiohttp import web

from controlplane.api.admin import administer
from controlplane.api.authentication import as_known_now, authenticate
from controlplane.api.people import authenticate_administrator
from controlplane.api.problems import ProblemError, not_found, problem, refused, too_many, unavailable
from controlplane.api.reading import address_of, read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.contracts.attestation import AttestationRequest, AttestationResult, Challenge, ChallengeRequest
from controlplane.contracts.attested import DeviceAttestation
from controlplane.contracts.base import is_identifier
from controlplane.contracts.identity import Attestation
from controlplane.decisions.attesting import Appraised, EndorsementRefused, KeyUnreadable, Superseded
from controlplane.decisions.verifying import KindUnknown, NotVerified

EVIDENCE_BYTES = 1024 * 1024
"""Of a body with evidence: chains, logs of a whole boot, and collateral have room in it."""


async def make_challenge(request: web.Request) -> web.Response:
    """Make a challenge for the caller: a nonce that evidence has to answer, once and soon."""
    services = request.app[SERVICES]
    device = await authenticate(request)
    body = await read_body(request, ChallengeRequest)
    wait = await services.limits.challenges.take(device.id)
    if wait:
        raise too_many(wait)
    decision = await administer(request, device, "attestation:challenge", "attestation", device.id, device.id)
    try:
        made = await services.confidentiality.attestation.challenge(device, body, decision.obligations.lifetime_seconds)
    except (KindUnknown, EndorsementRefused) as error:
        raise _unusable(str(error)) from None
    except NotVerified as error:
        raise unavailable(str(error)) from None
    return reply(made, 201)


async def attest(request: web.Request) -> web.Response:
    """Appraise evidence; where policy accepts it, the caller has proven a level from now on, and until when is said."""
    services = request.app[SERVICES]
    device = await authenticate(request)
    body = await read_body(request, AttestationRequest, EVIDENCE_BYTES)
    device = await as_known_now(request, device)
    try:
        appraised = await services.confidentiality.attestation.attest(device, body, address_of(request))
    except (KindUnknown, KeyUnreadable) as error:
        raise _unusable(str(error)) from None
    except NotVerified as error:
        raise unavailable(str(error)) from None
    except Superseded as error:
        raise problem("conflict", 409, "What this evidence proves does not count any more", f"{error}.") from None
    if appraised.result is None:
        raise _explained(appraised)
    return reply(appraised.result, 201)


async def read_attestation(request: web.Request) -> web.Response:
    """Return what a device has proven of its platform to those whom policy lets read it."""
    services = request.app[SERVICES]
    caller = await authenticate_administrator(request)
    identifier = request.match_info["id"]
    if not is_identifier(identifier):
        raise not_found("device")
    await administer(request, caller, "attestation:read", "attestation", identifier, identifier)
    device = await services.registry.get(identifier)
    if device is None:
        raise not_found("device")
    proven = device.attestation if device.attestation.holds_at(services.clock()) else Attestation()
    results = await services.confidentiality.attestation.results(identifier)
    return reply(DeviceAttestation(subject=identifier, attestation=proven, results=results))


def _unusable(words: str) -> ProblemError:
    return problem("evidence-unusable", 422, words)


def _explained(appraised: Appraised) -> ProblemError:
    """Return the refusal, with why the evidence does not verify where it does not."""
    refusal = refused(appraised.decision)
    if refusal.problem.status == 403 and appraised.words:
        detail = f"The evidence does not verify: {appraised.words}. {refusal.problem.detail}"
        refusal.problem = refusal.problem.model_copy(update={"detail": detail[:1024]})
    return refusal


ROUTES = (
    Route(
        "POST",
        "/v1/attestations/challenges",
        make_challenge,
        "Get a challenge for evidence of one's platform",
        body=ChallengeRequest,
        replies={201: Challenge},
        problems=(400, 401, 403, 408, 413, 415, 422, 429, 503),
        proof=True,
    ),
    Route(
        "POST",
        "/v1/attestations",
        attest,
        "Show evidence of one's platform that answers a challenge",
        body=AttestationRequest,
        replies={201: AttestationResult},
        problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        proof=True,
    ),
    Route(
        "GET",
        "/v1/devices/{id}/attestation",
        read_attestation,
        "Read what a device has proven of its platform",
        replies={200: DeviceAttestation},
        problems=(401, 403, 404, 429, 503),
        proof=True,
        people=True,
    ),
)
