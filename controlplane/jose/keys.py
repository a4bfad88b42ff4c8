"""P-256 keys: a device's own key, and the control plane's signing key."""

import hashlib
from collections.abc import Iterable
from typing import Any, NoReturn, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)

from controlplane.contracts.identity import PublicKey
from controlplane.jose.jws import decode_segment, encode_segment, sign

_CURVE = SECP256R1()


def thumbprint(key: PublicKey) -> str:
    """Return the SHA-256 thumbprint of a public key (RFC 7638), 43 characters of base64url."""
    canonical = f'{{"crv":"{key.crv}","kty":"{key.kty}","x":"{key.x}","y":"{key.y}"}}'
    return encode_segment(hashlib.sha256(canonical.encode()).digest()).decode()


def load_public(key: PublicKey) -> EllipticCurvePublicKey:
    """Return the key for verification.

    Raises:
        ValueError: a coordinate is not canonical, or the point is not on the curve.
    """
    point = b"\x04" + decode_segment(key.x.encode()) + decode_segment(key.y.encode())
    return EllipticCurvePublicKey.from_encoded_point(_CURVE, point)


def to_public(key: EllipticCurvePublicKey) -> PublicKey:
    """Return a P-256 key as a JWK."""
    numbers = key.public_numbers()
    x, y = (encode_segment(value.to_bytes(32, "big")).decode() for value in (numbers.x, numbers.y))
    return PublicKey(kty="EC", crv="P-256", x=x, y=y)


class DeviceKey:
    """A P-256 private key that signs proofs. Its text form never shows the private part."""

    __slots__ = ("_private", "public", "thumbprint")

    public: PublicKey
    thumbprint: str

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, SECP256R1):
            raise ValueError(f"a P-256 key is needed, this one is on {private.curve.name}")
        self._private = private
        self.public = to_public(private.public_key())
        self.thumbprint = thumbprint(self.public)

    @classmethod
    def generate(cls) -> Self:
        """Return a new key from the operating system's randomness."""
        return cls(generate_private_key(_CURVE))

    @classmethod
    def from_pem(cls, pem: bytes, password: bytes | None = None) -> Self:
        """Return the key of a PEM file (PKCS #8 or SEC 1).

        Raises:
            ValueError: not a P-256 private key, or the password does not fit.
        """
        try:
            private = serialization.load_pem_private_key(pem, password)
        except TypeError as error:
            raise ValueError(str(error)) from None
        if not isinstance(private, EllipticCurvePrivateKey):
            raise ValueError("a P-256 private key is needed, this is another kind of key")
        return cls(private)

    def to_pem(self, password: bytes | None = None) -> bytes:
        """Return the private key as PKCS #8 PEM, encrypted when a password is given."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password)
        return self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def sign(self, header_segment: bytes, payload: bytes) -> str:
        """Return the compact token of an encoded header and a payload (RFC 7515)."""
        return sign(self._private, header_segment, payload)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is neither copied nor pickled; `to_pem` writes it where that is meant")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(thumbprint={self.thumbprint!r})"


class SigningKey(DeviceKey):
    """The key that signs capabilities; its ``kid`` is its thumbprint."""

    __slots__ = ()

    @property
    def kid(self) -> str:
        """The key's identifier in headers and in the published key set."""
        return self.thumbprint


def jwks(keys: Iterable[SigningKey]) -> dict[str, Any]:
    """Return the published key set (RFC 7517 section 5)."""
    return {"keys": [{**key.public.model_dump(), "kid": key.kid, "use": "sig", "alg": "ES256"} for key in keys]}
