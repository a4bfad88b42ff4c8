"""Certificates of endorsement and attestation keys.

Those of endorsement keys have no subject, and mark as critical what only TPMs have, such as the model in the
alternative name (TCG EK credential profile for TPM family 2.0, section 3.2).
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import ExtensionOID, ObjectIdentifier

from controlplane.attestation.certificates import read_certificate, skip
from controlplane.attestation.chains import Anchors, Purpose
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.publics import PublicKey

MAX_CHAIN = 16_384
MAX_CERTIFICATES = 6

_KNOWN = frozenset(
    {
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_DIRECTORY_ATTRIBUTES,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
"""Critical or not, nothing here depends on them: model and maker of the TPM, its specification, who may rely on it."""

ENDORSEMENT = Purpose(extended=ObjectIdentifier("2.23.133.8.1"), known=_KNOWN)
"""Of an endorsement key's certificate (tcg-kp-EKCertificate). Its key usage differs from maker to maker; that the key
opens a credential shows what it is for."""

ATTESTATION = Purpose("digital_signature", ObjectIdentifier("2.23.133.8.3"), _KNOWN)
"""Of an attestation key's certificate (tcg-kp-AIKCertificate)."""


def vouched(data: bytes, anchors: Anchors, purpose: Purpose, what: str, at: float) -> tuple[str, PublicKey]:
    """Return the name of the root that vouches for a certificate, and the key that the certificate is of.

    Args:
        data: the certificate in DER, then those of the authorities above it, one after another.
        anchors: the roots.
        purpose: what it has to be for.
        what: names it in refusals.
        at: Unix seconds.

    Raises:
        EvidenceRefused: it is none, or no root vouches for it now.
    """
    chain = read_chain(data, what)
    return anchors.verify(chain, at, what, purpose).anchor, _key(chain[0], what)


def read_chain(data: bytes, what: str) -> list[x509.Certificate]:
    """Return the certificates that stand one after another in DER, the leaf first; at most `MAX_CERTIFICATES`.

    Raises:
        EvidenceRefused: ``malformed``.
    """
    found: list[x509.Certificate] = []
    try:
        if len(data) > MAX_CHAIN:
            raise ValueError("too long")
        while data or not found:
            if len(found) == MAX_CERTIFICATES:
                raise ValueError("too many")
            end = skip(data, 0)
            found.append(read_certificate(data[:end], f"certificate {len(found) + 1} of {what}"))
            data = data[end:]
    except ValueError:
        raise EvidenceRefused(
            "malformed", f"{what} is not 1 to {MAX_CERTIFICATES} certificates in DER, one after another"
        ) from None
    return found


def plain_key(data: bytes, what: str) -> PublicKey:
    """Return a key out of its SubjectPublicKeyInfo in DER.

    Raises:
        EvidenceRefused: ``malformed`` or ``unsupported``.
    """
    try:
        return _usable(load_der_public_key(data), what)
    except (ValueError, UnsupportedAlgorithm):
        raise EvidenceRefused("malformed", f"{what} is no SubjectPublicKeyInfo in DER") from None


def _key(certificate: x509.Certificate, what: str) -> PublicKey:
    try:
        return _usable(certificate.public_key(), what)
    except (ValueError, UnsupportedAlgorithm):
        raise EvidenceRefused("malformed", f"the key of {what} cannot be read") from None


def _usable(key: object, what: str) -> PublicKey:
    if isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 4096:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1)):
        return key
    raise EvidenceRefused("unsupported", f"{what} is of another key than RSA with 2048 to 4096 bits, P-256 and P-384")
