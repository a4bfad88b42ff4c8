"""``/v1/certificates``: a short-lived X509-SVID, for TLS on either side.

For the enrolled key it also says who asks here, by TLS from then on; for a key of the workload's own choice it speaks
to peers alone, so that the enrolled key need not lie where workloads run.
"""

from aiohttp import web
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.api.admin import administer
from controlplane.api.authentication import authenticate
from controlplane.api.problems import ProblemError, problem, unavailable
from controlplane.api.reading import read_body
from controlplane.api.replies import reply
from controlplane.api.routing import Route
from controlplane.api.services import SERVICES
from controlplane.capabilities.certificates import certificate_thumbprint
from controlplane.capabilities.errors import KeyFileError
from controlplane.contracts.identity import CertificateRequest, IssuedCertificate
from controlplane.identifiers.spiffe import device_spiffe_id
from controlplane.identity.authorities import Authorities, NoAuthority
from controlplane.identity.authority import SVID_SECONDS
from controlplane.jose.keys import load_public


async def issue_certificate(request: web.Request) -> web.Response:
    """Certify the key that the caller enrolled and has just proven, or one that signed its request (RFC 2986)."""
    services = request.app[SERVICES]
    device = await authenticate(request)
    body = await read_body(request, CertificateRequest)
    key = load_public(device.key) if body.csr is None else _requested_key(body.csr)
    decision = await administer(request, device, "certificate:issue", "certificate", device.id, device.id)
    most = decision.obligations.lifetime_seconds or SVID_SECONDS
    now, authorities = services.clock(), authorities_of(request)
    name = device_spiffe_id(services.access.authorities.domain, device.id)
    try:
        issued = authorities.signing(now).issue_svid(name, key, now, min(body.lifetime_seconds, most))
    except (NoAuthority, ValueError):
        raise unavailable("No authority can sign certificates: see `ztfm authority list`.") from None
    services.metrics.enrolments.svids_issued.labels("x509").inc()
    certificate = IssuedCertificate(
        certificate=issued.public_bytes(Encoding.PEM).decode(),
        authority=authorities.trusted_pem(now),
        thumbprint=certificate_thumbprint(issued.public_bytes(Encoding.DER)),
        spiffe_id=str(name),
        expires_at=issued.not_valid_after_utc.timestamp(),
    )
    return reply(certificate, 201)


def authorities_of(request: web.Request) -> Authorities:
    """Return the authorities as they are now.

    Raises:
        ProblemError: 503 while their file cannot be used.
    """
    try:
        return request.app[SERVICES].access.authorities.read()
    except (KeyFileError, OSError):
        raise unavailable("The authorities of certificates cannot be read: see `ztfm authority list`.") from None


def _requested_key(pem: str) -> EllipticCurvePublicKey:
    try:
        asked = x509.load_pem_x509_csr(pem.encode())
        key = asked.public_key()
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise _refused("The key is not on P-256")
        if not asked.is_signature_valid:
            raise _refused("The request is not signed by its own key")
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise _refused("The request is none, or of an unknown kind") from None
    return key


def _refused(what: str) -> ProblemError:
    return problem("certificate-request-refused", 422, what, "`csr` is a PEM text of PKCS #10 with a P-256 key.")


ROUTES = (
    Route(
        "POST",
        "/v1/certificates",
        issue_certificate,
        "Get an X509-SVID for the enrolled key or another",
        body=CertificateRequest,
        replies={201: IssuedCertificate},
        problems=(400, 401, 403, 408, 413, 415, 422, 429, 503),
        proof=True,
    ),
)
