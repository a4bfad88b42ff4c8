"""A SPIFFE trust bundle: the keys by which a trust domain's documents are verified. Read strictly and bounded; pure."""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.spiffe import TrustDomain
from controlplane.jose.jws import parse_object
from controlplane.jose.keys import load_public
from controlplane.pki.faults import FAULTS

MAX_BUNDLE_BYTES = 256 * 1024
MAX_KEYS = 64
MAX_CERTIFICATE_CHARS = 16_384
REFRESH_SECONDS = 300.0
"""How often a bundle is looked at that does not say (SPIFFE Trust Domain and Bundle, section 6.1)."""

MIN_REFRESH_SECONDS = 10.0
MAX_REFRESH_SECONDS = 86_400.0


class BundleInvalid(Exception):  # noqa: N818 - a state, as callers see it
    """A document is no trust bundle; the message says why. Nothing in it is trusted."""


@dataclass(frozen=True)
class TrustBundle:
    """What verifies the documents of one trust domain; whoever holds it decided for which one, for it does not say.

    Attributes:
        domain: whose it is.
        authorities: certificates that X509-SVIDs lead to.
        keys: P-256 keys of JWT-SVIDs by their ``kid``.
        sequence: larger in a newer bundle; none where it is not numbered.
        refresh_seconds: how often to look for a newer one.
    """

    domain: TrustDomain
    authorities: tuple[x509.Certificate, ...]
    keys: Mapping[str, EllipticCurvePublicKey]
    sequence: int | None = None
    refresh_seconds: float = REFRESH_SECONDS

    @classmethod
    def parse(cls, document: bytes, domain: TrustDomain) -> Self:
        """Return the bundle that ``document`` holds, as the one of ``domain``.

        Entries for other uses, and keys of kinds that are not verified here, are passed over, as the specification
        wants it. An empty bundle is one: it trusts nothing.

        Args:
            document: JSON, as ``/.well-known/spiffe-bundle`` gives it out.
            domain: whose it is, as you know it otherwise.

        Raises:
            BundleInvalid: it is too large, no JSON Web Key Set, or holds an entry that is not what it says.
        """
        if len(document) > MAX_BUNDLE_BYTES:
            raise BundleInvalid(f"a trust bundle has up to {MAX_BUNDLE_BYTES} bytes")
        try:
            found = parse_object(document)
        except (ValueError, RecursionError):
            raise BundleInvalid("a trust bundle is one JSON object, and no name is repeated in it") from None
        entries = found.get("keys")
        if not isinstance(entries, list) or len(entries) > MAX_KEYS:
            raise BundleInvalid(f"`keys` is a list of up to {MAX_KEYS} keys")
        authorities: list[x509.Certificate] = []
        keys: dict[str, EllipticCurvePublicKey] = {}
        for entry in entries:
            if not isinstance(entry, dict):
                raise BundleInvalid("each of `keys` is an object")
            if entry.get("use") == "x509-svid":
                authorities += _authority(entry)
            elif entry.get("use") == "jwt-svid" and _is_known(entry):
                kid = entry.get("kid")
                if not isinstance(kid, str) or not kid or kid in keys:
                    raise BundleInvalid("each key of JWT-SVIDs has a `kid` of its own")
                keys[kid] = _key(entry)
        return cls(domain, tuple(authorities), MappingProxyType(keys), _sequence(found), _refresh(found))

    @property
    def pem(self) -> str:
        """The authorities as PEM."""
        return "".join(found.public_bytes(Encoding.PEM).decode() for found in self.authorities)


def _authority(entry: dict[str, Any]) -> list[x509.Certificate]:
    chain = entry.get("x5c")
    if not isinstance(chain, list) or not chain:
        return []  # To be ignored: X509-SVID, section 6.2.
    first = chain[0]
    if not isinstance(first, str) or len(first) > MAX_CERTIFICATE_CHARS:
        raise BundleInvalid("an authority's `x5c` holds no certificate")
    try:
        certificate = x509.load_der_x509_certificate(b64decode(first, validate=True))
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (*FAULTS, NotBase64, x509.ExtensionNotFound):
        raise BundleInvalid("an authority's `x5c` holds no certificate of an authority") from None
    if not is_authority:
        raise BundleInvalid("an authority's `x5c` holds a certificate that may sign no other")
    return [certificate]


def _is_known(entry: dict[str, Any]) -> bool:
    return entry.get("kty") == "EC" and entry.get("crv") == "P-256"


def _key(entry: dict[str, Any]) -> EllipticCurvePublicKey:
    try:
        return load_public(PublicKey.model_validate({name: entry.get(name) for name in PublicKey.model_fields}))
    except (ValidationError, ValueError):
        raise BundleInvalid("a key of JWT-SVIDs is no point of P-256") from None


def _sequence(found: dict[str, Any]) -> int | None:
    number = found.get("spiffe_sequence")
    if number is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
        raise BundleInvalid("`spiffe_sequence` is a whole number below 2^63")
    return number


def _refresh(found: dict[str, Any]) -> float:
    hint = found.get("spiffe_refresh_hint")
    if hint is None:
        return REFRESH_SECONDS
    if not isinstance(hint, int) or isinstance(hint, bool) or hint < 0:
        raise BundleInvalid("`spiffe_refresh_hint` is a whole number of seconds")
    # Before it becomes a float: a number of any length is JSON.
    return max(float(min(hint, int(MAX_REFRESH_SECONDS))), MIN_REFRESH_SECONDS)
