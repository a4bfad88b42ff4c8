"""A workload's own X509-SVID: its key, its certificate, and what verifies its peers."""

import ssl
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key

from adapters.mutual import private_file
from adapters.svid.bundle import TrustBundle
from controlplane.identifiers.spiffe import SpiffeId


@dataclass(frozen=True)
class X509Svid:
    """Who this workload is on TLS connections, until it expires.

    Attributes:
        name: its SPIFFE ID.
        key: PEM of the private key; keep it private.
        certificate: PEM of the certificate, and of what leads to the authority where anything does.
        bundle: what verifies peers of the same trust domain.
        issued_at: Unix seconds.
        expires_at: Unix seconds.
    """

    name: SpiffeId
    key: bytes = field(repr=False)
    certificate: str
    bundle: TrustBundle
    issued_at: float
    expires_at: float

    def show(self, context: ssl.SSLContext) -> None:
        """Show it, and trust its bundle's authorities, on connections that ``context`` makes from now on.

        Raises:
            ValueError: key and certificate do not belong together.
        """
        with private_file(self.key + self.certificate.encode()) as path:
            try:
                context.load_cert_chain(path)
            except ssl.SSLError as error:
                raise ValueError(f"the certificate is not that of this key ({error.reason})") from None
        if self.bundle.authorities:
            context.load_verify_locations(cadata=self.bundle.pem)


def fresh_key() -> EllipticCurvePrivateKey:
    """Return a new P-256 key from the operating system's randomness."""
    return generate_private_key(SECP256R1())


def request_for(key: EllipticCurvePrivateKey) -> str:
    """Return a certificate request for a key as PEM (PKCS #10). It names nobody: who asks says that."""
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return asked.public_bytes(serialization.Encoding.PEM).decode()


def private_pem(key: EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PKCS #8 PEM; keep it private."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
