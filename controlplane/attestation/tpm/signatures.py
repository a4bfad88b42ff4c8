"""Signatures as a TPM writes them (TPMT_SIGNATURE, TPM 2.0 part 2, section 11.3.4)."""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.algorithms import ECDSA, HASHES, RSAPSS, RSASSA, hash_of
from controlplane.attestation.tpm.reading import Reader

MAX_SIGNATURE = 1024

_MAX_RSA = 512
_MAX_COORDINATE = 66


@dataclass(frozen=True)
class Signature:
    """One that was read, and not verified.

    Attributes:
        scheme: of the numbers `RSASSA`, `RSAPSS`, `ECDSA`.
        hashed_with: ``sha256`` or ``sha384``.
        value: for RSA the number's bytes, for ECDSA the DER of both numbers.
    """

    scheme: int
    hashed_with: str
    value: bytes

    def verify(self, public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, message: bytes) -> str:
        """Return the hash that it was made with, once it verifies.

        Raises:
            EvidenceRefused: ``signature``: it is not of this key over this message.
        """
        hashed = hash_of(self.hashed_with)
        try:
            if isinstance(public_key, rsa.RSAPublicKey) and self.scheme == RSASSA:
                public_key.verify(self.value, message, padding.PKCS1v15(), hashed)
            elif isinstance(public_key, rsa.RSAPublicKey) and self.scheme == RSAPSS:
                # A TPM takes the largest salt that fits, or with FIPS one as long as the digest (part 1, B.7).
                pss = padding.PSS(padding.MGF1(hashed), padding.PSS.AUTO)
                public_key.verify(self.value, message, pss, hashed)
            elif isinstance(public_key, ec.EllipticCurvePublicKey) and self.scheme == ECDSA:
                public_key.verify(self.value, message, ec.ECDSA(hashed))
            else:
                raise EvidenceRefused("signature", "the signature's scheme is not one of the attestation key's kind")
        except InvalidSignature:
            raise EvidenceRefused("signature", "the quote was not signed by the attestation key") from None
        return self.hashed_with


def parse_signature(signature: bytes, public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> Signature:
    """Return what a signature's bytes say.

    Args:
        signature: a TPMT_SIGNATURE; or as many bytes as an RSA key has, PKCS #1 with SHA-256.
        public_key: whose it is to be.

    Raises:
        EvidenceRefused: ``malformed`` or ``unsupported``.
    """
    if isinstance(public_key, rsa.RSAPublicKey) and len(signature) == (public_key.key_size + 7) // 8:
        return Signature(RSASSA, "sha256", signature)
    reader = Reader(signature, "the quote's signature")
    scheme, algorithm = reader.number(2, "its scheme"), reader.number(2, "its hash")
    if scheme not in (RSASSA, RSAPSS, ECDSA):
        raise EvidenceRefused(
            "unsupported", f"the quote's signature is of scheme 0x{scheme:04x}; use RSASSA, RSAPSS or ECDSA"
        )
    if algorithm not in HASHES:
        raise EvidenceRefused(
            "unsupported", f"the quote's signature is over the hash 0x{algorithm:04x}; use sha256 or sha384"
        )
    if scheme == ECDSA:
        r, s = (
            int.from_bytes(reader.sized(_MAX_COORDINATE, part), "big") for part in ("its first number", "its second")
        )
        value = encode_dss_signature(r, s)
    else:
        value = reader.sized(_MAX_RSA, "its number")
    reader.end()
    return Signature(scheme, HASHES[algorithm], value)
