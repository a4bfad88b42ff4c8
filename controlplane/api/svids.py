"""``/v1/svids``: tokens by which a workload says who it is, and the bundle by which everybody verifies (SPIFFE)."""

import hashlib
import json
from base64 import b64encode
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.certificates import authorities_of
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.capabilities.jwtsvids import JwtSvids
from controlplane.capabilities.keyring import RETIRED_SECONDS
from controlplane.contracts.keys import KeyStanding
from controlplane.contracts.svids import MAX_JWT_SVID_SECONDS, IssuedJwtSvid, JwtSvidRequest
from controlplane.identifiers.spiffe import device_spiffe_id
from controlplane.identity.authorities import REFRESH_SECONDS
from controlplane.jose.keys import to_public

MAX_AGE_SECONDS = 60
"""How long the bundle may be kept before it is asked for again; the key set of capabilities may be for as long."""


async def issue_jwt_svid(request: web.Request) -> web.Response:
    """Sign a token that says who the caller is, for the audiences that policy lets its roles speak to."""
    services = request.app[SERVICES]
    device = await authenticate(request)
    body = await read_body(request, JwtSvidRequest)
    decision = await administer(
        request, device, "svid:issue", "svid", device.id, device.id, audiences=list(body.audience)
    )
    most = decision.obligations.lifetime_seconds or MAX_JWT_SVID_SECONDS
    name = device_spiffe_id(services.access.authorities.domain, device.id)
    minting = JwtSvids(services.capabilities.keys.ring.current, services.clock)
    token, claims = minting.mint(name, body.audience, min(body.lifetime_seconds, most, MAX_JWT_SVID_SECONDS))
    services.metrics.enrolments.svids_issued.labels("jwt").inc()
    return reply(IssuedJwtSvid(svid=token, spiffe_id=claims.sub, expires_at=float(claims.exp)), 201)


async def bundle(request: web.Request) -> web.Response:
    """The trust bundle of this trust domain (SPIFFE Trust Domain and Bundle, section 4), for everybody.

    In it are the authorities of X509-SVIDs and the keys of JWT-SVIDs: those that sign, those that will, and those whose
    documents still hold.
    """
    services = request.app[SERVICES]
    now, authorities = services.clock(), authorities_of(request)
    ring = services.capabilities.keys.ring
    document = {
        "spiffe_sequence": sequence(authorities.changed_at(now), ring.standings(), now),
        "spiffe_refresh_hint": REFRESH_SECONDS,
        "keys": [
            *(_authority(certificate) for certificate in authorities.trusted(now)),
            *({**key.public.model_dump(), "use": "jwt-svid", "kid": key.kid} for key in ring.verifying()),
        ],
    }
    body = json.dumps(document).encode()
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = {"Cache-Control": f"max-age={MAX_AGE_SECONDS}", "ETag": f'"{tag}"'}
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type="application/json", headers=headers)


def sequence(authorities_changed_at: float, standings: list[KeyStanding] | tuple[KeyStanding, ...], now: float) -> int:
    """Return the bundle's number: larger whenever its content is another, and the same at all who know the same.

    It is the sum of when the authorities last changed and when the keys last did, in microseconds, so that a change of
    either shows. It has less than 53 bits for the next hundred years.

    Args:
        authorities_changed_at: Unix seconds.
        standings: of every key that is known, those of the past among them.
        now: Unix seconds.
    """
    times = [0.0]
    for key in standings:
        left = key.withdrawn_at if key.withdrawn_at is not None else (key.retired_at or float("inf")) + RETIRED_SECONDS
        times += [when for when in (key.created_at, left) if when <= now]
    return int(authorities_changed_at * 1e6) + int(max(times) * 1e6)


def _authority(certificate: x509.Certificate) -> dict[str, Any]:
    key = certificate.public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("an authority's key is on P-256")
    encoded = b64encode(certificate.public_bytes(Encoding.DER)).decode()
    return {**to_public(key).model_dump(), "use": "x509-svid", "x5c": [encoded]}


ROUTES = (
    Route(
        "POST",
        "/v1/svids/jwt",
        issue_jwt_svid,
        "Get a JWT-SVID",
        body=JwtSvidRequest,
        replies={201: IssuedJwtSvid},
        problems=(400, 401, 403, 408, 413, 415, 429, 503),
        proof=True,
    ),
    Route(
        "GET",
        "/.well-known/spiffe-bundle",
        bundle,
        "The SPIFFE trust bundle",
        media_type="application/json",
        problems=(503,),
    ),
)
