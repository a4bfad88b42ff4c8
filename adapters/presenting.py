"""What a newcomer shows in place of a token: an issuer's credential, or its manufacturer's certificates.

A credential is presented anew each time: with a key binding (RFC 9901 section 4.3) that names the control plane, the
time and exactly this credential, signed by the device's key.
"""

import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from controlplane.contracts.identity import MAX_CERTIFICATES, MAX_CREDENTIAL_CHARS
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import DeviceKey

MAX_FILE_BYTES = 65_536
_SD_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+~(?:[A-Za-z0-9_-]+~)*")
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_CERTIFICATE = re.compile(f"{_BEGIN}([A-Za-z0-9+/=\\s]+){_END}")


@dataclass(frozen=True, slots=True)
class Credential:
    """An SD-JWT VC as an issuer gave it, with the disclosures that are to be shown.

    Attributes:
        sd_jwt: ends in a tilde; without a key binding.

    Raises:
        ValueError: it is none.
    """

    sd_jwt: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _SD_JWT.fullmatch(self.sd_jwt) or len(self.sd_jwt) > MAX_CREDENTIAL_CHARS:
            raise ValueError("a credential is an SD-JWT as its issuer gave it: JWT~disclosure~...~, not yet presented")

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Return the credential in a file.

        Raises:
            OSError: it cannot be read.
            ValueError: there is none.
        """
        return cls(_text(path).strip())

    def present(self, key: DeviceKey, audience: str, now: float) -> str:
        """Return the credential as the holder of ``key`` shows it once, here and now.

        Args:
            key: the one that the credential names (``cnf``).
            audience: the control plane's public URL.
            now: Unix seconds.
        """
        claims = {
            "iat": int(now),
            "aud": audience,
            "nonce": secrets.token_urlsafe(16),
            "sd_hash": encode_segment(hashlib.sha256(self.sd_jwt.encode()).digest()).decode(),
        }
        header = {"alg": "ES256", "typ": "kb+jwt"}
        return self.sd_jwt + key.sign(encode_segment(json.dumps(header).encode()), json.dumps(claims).encode())


@dataclass(frozen=True, slots=True)
class Certificates:
    """A chain of certificates: the device's own, whose key it holds, then what leads to its manufacturer's root.

    Attributes:
        chain: PEM each.

    Raises:
        ValueError: there is none, or more than five.
    """

    chain: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.chain) <= MAX_CERTIFICATES:
            raise ValueError(f"1 to {MAX_CERTIFICATES} certificates in PEM are shown, the device's own first")

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Return the chain in a PEM file.

        Raises:
            OSError: it cannot be read.
            ValueError: there is none.
        """
        bodies = ("".join(found[1].split()) for found in _CERTIFICATE.finditer(_text(path)))
        return cls(tuple(f"{_BEGIN}\n{body}\n{_END}" for body in bodies))


Evidence = str | Credential | Certificates
"""What lets a newcomer in: an enrolment token, a credential, or certificates."""


def _text(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES or not raw.isascii():
        raise ValueError(f"{path} holds neither a credential nor certificates")
    return raw.decode("ascii")
