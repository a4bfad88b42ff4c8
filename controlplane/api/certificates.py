"""``/v1/certificates``: a short-lived client certificate for the caller's own key, to prove it by TLS from then on."""

from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.problems import unavailable
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.capabilities.certificates import certificate_thumbprint
from controlplane.contracts.identity import CertificateRequest, IssuedCertificate
from controlplane.jose.keys import load_public


async def issue_certificate(request: web.Request) -> web.Response:
    """Certify the key that the caller enrolled and has just proven, for TLS clients (RFC 8705)."""
    services = request.app[SERVICES]
    device = await authenticate(request)
    body = await read_body(request, CertificateRequest)
    await administer(request, device, "certificate:issue", "certificate", device.id, device.id)
    authority = services.access.authority
    try:
        issued = authority.issue_client(device.id, load_public(device.key), services.clock(), body.lifetime_seconds)
    except ValueError:
        raise unavailable("The authority for client certificates has expired.") from None
    services.metrics.certificates_issued.inc()
    certificate = IssuedCertificate(
        certificate=issued.public_bytes(Encoding.PEM).decode(),
        authority=authority.certificate_pem,
        thumbprint=certificate_thumbprint(issued.public_bytes(Encoding.DER)),
        expires_at=issued.not_valid_after_utc.timestamp(),
    )
    return reply(certificate, 201)


ROUTES = (
    Route(
        "POST",
        "/v1/certificates",
        issue_certificate,
        "Get a client certificate for the enrolled key",
        body=CertificateRequest,
        replies={201: IssuedCertificate},
        problems=(400, 401, 403, 408, 413, 415, 429, 503),
        proof=True,
    ),
)
