"""P-256 keys: a device's own key, and the control plane's signing key."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.jws import decode_segment, encode_segment, sign
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.contracts.identity import PublicKey

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


class DeviceKey:
    """A P-256 private key that signs proofs. Its text form never shows the private part."""

    __slots__ = ("_private", "public", "thumbprint")

    public: PublicKey
    thumbprint: str

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, SECP256R1):
            raise ValueError(f"a P-256 key is needed, this one is on {private.curve.name}")
        numbers = private.public_key().public_numbers()
        x, y = (encode_segment(value.to_bytes(32, "big")).decode() for value in (numbers.x, numbers.y))
        self._private = private
        self.public = PublicKey(kty="EC", crv="P-256", x=x, y=y)
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

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Return the key of ``path``, made on first use: mode 0600, written whole or not at all.

        Of several processes that start at once, all return the key of the one that was first.

        Raises:
            KeyFileError: the file is readable by others, or holds no P-256 key.
            OSError: the folder cannot be read or written.
        """
        pem = read_private(path)
        if pem is None:
            pem = create_private(path, cls.generate().to_pem())
        try:
            return cls.from_pem(pem)
        except ValueError as error:
            raise KeyFileError(f"{path} holds no P-256 private key in PEM form: {error}. Move it away.") from None

    def examine(self, path: Path) -> str:
        """Return ``ok`` while ``path`` still keeps this very key for nobody else to read, or what is wrong.

        A key that is lost or replaced on disk signs on until the next start; after that, capabilities of before it
        are refused everywhere.
        """
        try:
            pem = read_private(path)
        except KeyFileError:
            return "others can read its file"
        except OSError:
            return "its file cannot be read"
        if pem is None:
            return "its file is gone"
        try:
            return "ok" if self.from_pem(pem).thumbprint == self.thumbprint else "its file holds another key"
        except ValueError:
            return "its file holds no key"


def jwks(keys: Iterable[SigningKey]) -> dict[str, Any]:
    """Return the published key set (RFC 7517 section 5)."""
    return {"keys": [{**key.public.model_dump(), "kid": key.kid, "use": "sig", "alg": "ES256"} for key in keys]}
