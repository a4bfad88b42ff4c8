"""Seal to a public key: HPKE (RFC 9180) in base mode, one message for each encapsulation.

The suites are DHKEM(X25519, HKDF-SHA256), and ML-KEM-768 with X25519 (draft-ietf-hpke-pq), which holds for as long as
either of its halves does; both with HKDF-SHA256 and AES-256-GCM. With one message for each encapsulation, ``info``
binds whatever associated data would, and so there is none.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn, Self

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from controlplane.confidentiality.errors import SealRefused
from controlplane.contracts.attestation import ReleaseKey, SealingSuite

_KEMS: Mapping[SealingSuite, KEM] = MappingProxyType({"x25519": KEM.X25519, "mlkem768-x25519": KEM.MLKEM768_X25519})
_SUITES: Mapping[SealingSuite, Suite] = MappingProxyType(
    {name: Suite(kem, KDF.HKDF_SHA256, AEAD.AES_256_GCM) for name, kem in _KEMS.items()}
)
_X25519_BYTES = 32
_MLKEM_SEED_BYTES = 64
_MLKEM_PUBLIC_BYTES = 1184

PUBLIC_BYTES: Mapping[SealingSuite, int] = MappingProxyType(
    {"x25519": _X25519_BYTES, "mlkem768-x25519": _MLKEM_PUBLIC_BYTES + _X25519_BYTES}
)
"""Of an encapsulation key: X25519's 32, or the key of ML-KEM-768 and that of X25519 after it."""

PRIVATE_BYTES: Mapping[SealingSuite, int] = MappingProxyType(
    {"x25519": _X25519_BYTES, "mlkem768-x25519": _MLKEM_SEED_BYTES + _X25519_BYTES}
)
"""Of a private key: X25519's 32, or the seed of ML-KEM-768 (FIPS 203) and the key of X25519 after it."""

ENC_BYTES: Mapping[SealingSuite, int] = MappingProxyType({name: kem.enc_length() for name, kem in _KEMS.items()})
"""Of an encapsulation."""


class Enclosed(NamedTuple):
    """What was sealed to a key.

    Attributes:
        enc: the encapsulation.
        ciphertext: the plaintext's bytes, and 16 more.
    """

    enc: bytes
    ciphertext: bytes


class PrivateReleaseKey:
    """The private half of a `ReleaseKey`. Its text form shows nothing, and it is neither copied nor pickled.

    Args:
        suite: for which it is.
        raw: `PRIVATE_BYTES` of it.

    Raises:
        ValueError: they are no such key.
    """

    __slots__ = ("_key", "public", "suite")

    def __init__(self, suite: SealingSuite, raw: bytes) -> None:
        if len(raw) != PRIVATE_BYTES[suite]:
            raise ValueError(f"a private key of {suite} has {PRIVATE_BYTES[suite]} bytes")
        self.suite = suite
        curve = X25519PrivateKey.from_private_bytes(raw[-_X25519_BYTES:])
        public = curve.public_key().public_bytes_raw()
        self._key: X25519PrivateKey | MLKEM768X25519PrivateKey = curve
        if suite == "mlkem768-x25519":
            lattice = MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES])
            self._key = MLKEM768X25519PrivateKey(lattice, curve)
            public = lattice.public_key().public_bytes_raw() + public
        self.public = ReleaseKey(suite=suite, key=_encode(public))

    @classmethod
    def generate(cls, suite: SealingSuite = "mlkem768-x25519") -> Self:
        """Return a new key; it lives in this process alone."""
        raw = X25519PrivateKey.generate().private_bytes_raw()
        if suite == "mlkem768-x25519":
            raw = MLKEM768PrivateKey.generate().private_bytes_raw() + raw
        return cls(suite, raw)

    def open(self, enc: bytes, ciphertext: bytes, info: bytes) -> bytes:
        """Return what was sealed to this key under ``info``.

        Raises:
            SealRefused: it was sealed to another key or under another ``info``, or was changed.
        """
        if len(enc) != ENC_BYTES[self.suite]:
            raise SealRefused(f"an encapsulation of {self.suite} has {ENC_BYTES[self.suite]} bytes")
        try:
            return _SUITES[self.suite].decrypt(enc + ciphertext, self._key, info=info)
        except (InvalidTag, ValueError, UnsupportedAlgorithm):
            raise SealRefused("it was sealed to another key or for something else, or was changed on its way") from None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is neither copied nor pickled")

    def __repr__(self) -> str:
        return f"PrivateReleaseKey({self.suite!r})"


def seal(key: ReleaseKey, plaintext: bytes, info: bytes) -> Enclosed:
    """Seal to a public key.

    Args:
        key: to which.
        plaintext: any bytes.
        info: what it is bound to, as `context` makes it; it opens under the same alone.

    Raises:
        SealRefused: it is no key of its suite, or one with which everybody would share the same secret (RFC 9180
            section 7.1.4, RFC 7748 section 6.1).
    """
    try:
        sealed = _SUITES[key.suite].encrypt(plaintext, _public(key), info=info)
    except (ValueError, UnsupportedAlgorithm):
        # The latter where the library was built without the lattice: then nobody's key of that suite can be sealed to.
        raise SealRefused(f"the release key is no key of {key.suite}; attest again with another") from None
    return Enclosed(sealed[: ENC_BYTES[key.suite]], sealed[ENC_BYTES[key.suite] :])


def _public(key: ReleaseKey) -> X25519PublicKey | MLKEM768X25519PublicKey:
    raw = urlsafe_b64decode(key.key + "=" * (-len(key.key) % 4))
    if len(raw) != PUBLIC_BYTES[key.suite] or _encode(raw) != key.key:
        raise ValueError("another length than the suite's keys have")
    curve = X25519PublicKey.from_public_bytes(raw[-_X25519_BYTES:])
    if key.suite == "x25519":
        return curve
    return MLKEM768X25519PublicKey(MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES]), curve)


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
