"""A TPM's keys as it describes them (TPMT_PUBLIC, TPM 2.0 part 2, section 12.2.4), and their names (part 1, 16)."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.algorithms import AES, CFB, ECC, HASHES, NULL, RSA, schemes_of
from controlplane.attestation.tpm.reading import Reader

MAX_PUBLIC = 1024

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_FIXED_TPM = 1 << 1
_FIXED_PARENT = 1 << 4
_SENSITIVE_DATA_ORIGIN = 1 << 5
_RESTRICTED = 1 << 16
_DECRYPT = 1 << 17
_SIGN = 1 << 18

_BORN_THERE = {
    "fixedTPM": _FIXED_TPM,
    "fixedParent": _FIXED_PARENT,
    "sensitiveDataOrigin": _SENSITIVE_DATA_ORIGIN,
    "restricted": _RESTRICTED,
}
_CURVES: dict[int, tuple[type[ec.EllipticCurve], int]] = {0x0003: (ec.SECP256R1, 32), 0x0004: (ec.SECP384R1, 48)}
_RSA_BITS = (2048, 3072, 4096)
_USUAL_EXPONENT = 65537
_ENDORSEMENT = (0x4000000B).to_bytes(4, "big")


@dataclass(frozen=True)
class Public:
    """A key of a TPM, as it describes it.

    Attributes:
        raw: the TPMT_PUBLIC.
        hashed_with: of its name, ``sha256`` or ``sha384``.
        attributes: what may be done with it, as bits.
        symmetric_bits: of the AES key with which it protects what it is given; none for a key that signs.
        scheme_hash: that it signs with; none where that is left open.
        key: itself.
    """

    raw: bytes
    hashed_with: str
    attributes: int
    symmetric_bits: int | None
    scheme_hash: str | None
    key: PublicKey

    @property
    def name(self) -> bytes:
        """Its name: the number of a hash, and that hash of all that it is."""
        return self.raw[2:4] + hashlib.new(self.hashed_with, self.raw).digest()

    def check_attests(self) -> None:
        """Make sure that it is an attestation key: born in its TPM, never to leave it, and signing nothing else.

        A restricted key signs what the TPM made, and nothing that looks as if it had; so a quote that it signed is one.

        Raises:
            EvidenceRefused: ``untrusted``.
        """
        self._check("the attestation key", has=_SIGN, lacks=_DECRYPT, words=("sign", "decrypt"))
        if self.scheme_hash is None:
            raise EvidenceRefused("unsupported", "the attestation key has no scheme; make one with sha256 or sha384")

    def check_endorses(self) -> None:
        """Make sure that it is an endorsement key: born in its TPM, never to leave it, and opening credentials alone.

        Raises:
            EvidenceRefused: ``untrusted``.
        """
        self._check("the endorsement key", has=_DECRYPT, lacks=_SIGN, words=("decrypt", "sign"))
        if self.symmetric_bits is None:
            raise EvidenceRefused("unsupported", "the endorsement key names no AES key; make it of a standard template")

    def _check(self, what: str, has: int, lacks: int, words: tuple[str, str]) -> None:
        missing = [name for name, bit in _BORN_THERE.items() if not self.attributes & bit]
        missing += [] if self.attributes & has else [words[0]]
        if missing:
            raise EvidenceRefused("untrusted", f"{what} is not {', '.join(missing)}; make it with these attributes")
        if self.attributes & lacks:
            raise EvidenceRefused("untrusted", f"{what} may also {words[1]}; make it without that attribute")

    def endorsed_names(self, endorsement_key: bytes | None) -> frozenset[bytes]:
        """Return the qualified names that it has if it is in the endorsement hierarchy (part 1, section 16.3).

        Args:
            endorsement_key: name of the key below which it may be; none where that is not known.
        """
        found = {self._qualified(_ENDORSEMENT)}
        if endorsement_key is not None:
            hashed = HASHES[int.from_bytes(endorsement_key[:2], "big")]
            parent = hashlib.new(hashed, _ENDORSEMENT + endorsement_key).digest()
            found.add(self._qualified(endorsement_key[:2] + parent))
        return frozenset(found)

    def _qualified(self, parent: bytes) -> bytes:
        return self.raw[2:4] + hashlib.new(self.hashed_with, parent + self.name).digest()


def key_digest(key: PublicKey) -> bytes:
    """Return the SHA-256 of a key's SubjectPublicKeyInfo in DER: of a key alone, whatever a TPM says of it."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def parse_public(data: bytes, what: str) -> Public:
    """Return a key that a TPM describes.

    Args:
        data: its TPMT_PUBLIC, or a TPM2B_PUBLIC.
        what: names it in refusals, such as ``the attestation key``.

    Raises:
        EvidenceRefused: ``malformed``, or ``unsupported``: it is none of RSA with 2048, 3072 or 4096 bits, P-256 and
            P-384, named with SHA-256 or SHA-384.
    """
    if len(data) > MAX_PUBLIC:
        raise EvidenceRefused("malformed", f"{what} has {len(data)} bytes, more than {MAX_PUBLIC}")
    # No type of key has a number as large as a length: the two forms cannot be mistaken for each other.
    raw = data[2:] if len(data) > 2 + max(RSA, ECC) and int.from_bytes(data[:2], "big") == len(data) - 2 else data
    reader = Reader(raw, what)
    kind, named = reader.number(2, "its type"), reader.number(2, "its name's hash")
    if kind not in (RSA, ECC) or named not in HASHES:
        raise EvidenceRefused(
            "unsupported",
            f"{what} is of type 0x{kind:04x} with hash 0x{named:04x}; use RSA or ECC with sha256 or sha384",
        )
    attributes = reader.number(4, "its attributes")
    reader.sized(64, "its policy")
    symmetric = _symmetric(reader, what)
    scheme_hash = _scheme(reader, what, kind)
    key = _rsa(reader, what) if kind == RSA else _ecc(reader, what)
    reader.end()
    return Public(raw, HASHES[named], attributes, symmetric, scheme_hash, key)


def _symmetric(reader: Reader, what: str) -> int | None:
    algorithm = reader.number(2, "its symmetric algorithm")
    if algorithm == NULL:
        return None
    bits, mode = reader.number(2, "its symmetric key"), reader.number(2, "its symmetric mode")
    if algorithm != AES or mode != CFB or bits not in (128, 192, 256):
        raise EvidenceRefused("unsupported", f"{what} protects by another cipher than AES in CFB mode")
    return bits


def _scheme(reader: Reader, what: str, kind: int) -> str | None:
    scheme = reader.number(2, "its scheme")
    if scheme == NULL:
        return None
    hashed = reader.number(2, "its scheme's hash")
    if scheme not in schemes_of(kind) or hashed not in HASHES:
        raise EvidenceRefused(
            "unsupported",
            f"{what} has scheme 0x{scheme:04x} with hash 0x{hashed:04x}; use RSASSA, RSAPSS or ECDSA with "
            "sha256 or sha384",
        )
    return HASHES[hashed]


def _rsa(reader: Reader, what: str) -> rsa.RSAPublicKey:
    bits, exponent = reader.number(2, "its size"), reader.number(4, "its exponent")
    modulus = reader.sized(max(_RSA_BITS) // 8, "its modulus")
    if bits not in _RSA_BITS or exponent not in (0, _USUAL_EXPONENT):
        raise EvidenceRefused("unsupported", f"{what} has {bits} bits or an unusual exponent; use 2048, 3072 or 4096")
    number = int.from_bytes(modulus, "big")
    if len(modulus) * 8 != bits or number.bit_length() != bits or number % 2 == 0:
        raise EvidenceRefused("malformed", f"the modulus of {what} is no RSA modulus of {bits} bits")
    return rsa.RSAPublicNumbers(_USUAL_EXPONENT, number).public_key()


def _ecc(reader: Reader, what: str) -> ec.EllipticCurvePublicKey:
    curve, derivation = reader.number(2, "its curve"), reader.number(2, "its derivation")
    if curve not in _CURVES or derivation != NULL:
        raise EvidenceRefused("unsupported", f"{what} is on the curve 0x{curve:04x} or has a KDF; use P-256 or P-384")
    kind, size = _CURVES[curve]
    x, y = (reader.sized(size, part) for part in ("its first coordinate", "its second coordinate"))
    try:
        return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), kind()).public_key()
    except ValueError:
        raise EvidenceRefused("malformed", f"{what} is no point of its curve") from None
