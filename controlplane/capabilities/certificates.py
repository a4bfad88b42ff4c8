"""What a client certificate says about its holder's key: mutual TLS as another way to prove an enrolled key (RFC 8705).

The TLS handshake proves the key and the chain; here the certificate is read, once for each connection.
"""

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from controlplane.contracts.base import Thumbprint
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import thumbprint, to_public

MAX_CERTIFICATE_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The certificate that the other side of a TLS connection showed.

    Attributes:
        key_thumbprint: of its P-256 key as a JWK (RFC 7638), by which devices are enrolled.
        thumbprint: SHA-256 of the DER certificate, the ``x5t#S256`` of capabilities that are bound to it.
        expires_at: Unix seconds; a connection may outlive its certificate, and is worth nothing then.
    """

    key_thumbprint: Thumbprint
    thumbprint: Thumbprint
    expires_at: float


def certificate_thumbprint(der: bytes) -> Thumbprint:
    """Return the SHA-256 thumbprint of a DER certificate, 43 characters of base64url (RFC 8705 section 3.1)."""
    return encode_segment(hashlib.sha256(der).digest()).decode()


def read_certificate(der: bytes | None) -> PeerCertificate | None:
    """Return what the DER certificate of a TLS peer says, or none when there is none or its key is not on P-256."""
    if der is None or len(der) > MAX_CERTIFICATE_BYTES:
        return None
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        return None
    expires_at = certificate.not_valid_after_utc.timestamp()
    return PeerCertificate(thumbprint(to_public(key)), certificate_thumbprint(der), expires_at)
