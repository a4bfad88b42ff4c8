"""People: what a token of their identity provider says (OpenID Connect Core 1.0, RFC 7519, RFC 8725).

Pure: the provider's keys come in, a person or a refusal goes out. What a person may do, policy says.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError
from jwt.api_jws import PyJWS

from controlplane.contracts.base import is_identifier
from controlplane.contracts.identity import Person

ALGORITHMS = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""What signatures may be made with, and the type of key that belongs to each. A key never serves two of them."""

MAX_TOKEN_CHARS = 8192
MAX_KEYS = 64
MAX_LIFETIME_SECONDS = 86_400.0
LEEWAY_SECONDS = 5.0
MAX_VALUES = 256
MAX_VALUE_CHARS = 256

_RSA_BITS = range(2048, 4097)
_CURVES: dict[str, set[str | None]] = {"RSA": {None}, "EC": {"P-256"}, "OKP": {"Ed25519"}}

PersonCause = Literal[
    "person_malformed",
    "person_wrong_algorithm",
    "person_unknown_key",
    "person_bad_signature",
    "person_wrong_issuer",
    "person_wrong_audience",
    "person_wrong_client",
    "person_wrong_nonce",
    "person_expired",
    "person_not_yet_valid",
    "person_too_many_claims",
]
"""Why a person's token does not hold; for logs and metrics."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A token that does not say who somebody is."""

    cause: PersonCause


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One key of a provider.

    Attributes:
        algorithm: the one that it serves.
        key: for PyJWT.
    """

    algorithm: str
    key: PyJWK


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say.

    Attributes:
        issuer: exactly.
        audience: among its ``aud``.
        clients: whom it may have been given to (``azp``).
        claims: what is taken from it for policy; a dot leads into an object.
        nonce: of the sign-in that it was issued for; none where any may be.
    """

    issuer: str
    audience: str
    clients: Collection[str]
    claims: Sequence[str]
    nonce: str | None = None


def read_provider_keys(document: object) -> dict[str, ProviderKey]:
    """Return the usable keys of a provider's key set (RFC 7517) by ``kid``; others are passed over.

    Raises:
        ValueError: no key set, or more than 64 keys.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError(f"a key set is an object with up to {MAX_KEYS} `keys`")
    found: dict[str, ProviderKey] = {}
    for entry in entries:
        kid = entry.get("kid") if isinstance(entry, dict) else None
        key = _key(entry) if isinstance(kid, str) and 0 < len(kid) <= 256 else None
        if key is None or kid is None:
            continue
        if kid in found:
            raise ValueError("two keys of a set share a `kid`")
        found[kid] = key
    return found


def _key(entry: Mapping[str, Any]) -> ProviderKey | None:
    algorithm = next((name for name, kind in ALGORITHMS.items() if kind == entry.get("kty")), None)
    if algorithm is None or entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig":
        return None
    curve = entry.get("crv")
    if not isinstance(curve, str | None) or curve not in _CURVES[ALGORITHMS[algorithm]] or "d" in entry:
        return None
    try:
        key = PyJWK({name: entry[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in entry}, algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size not in _RSA_BITS:
        return None
    return ProviderKey(algorithm, key)


def key_of(token: str) -> str | Unknown:
    """Return which key a token names; nothing is verified. The header's own keys and addresses are never used."""
    if len(token) > MAX_TOKEN_CHARS or token.count(".") != 2:
        return Unknown("person_malformed")
    try:
        header = _JWS.get_unverified_header(token)
    except (PyJWTError, ValueError, RecursionError):
        return Unknown("person_malformed")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        return Unknown("person_wrong_algorithm")
    if "crit" in header or header.get("typ", "JWT") not in ("JWT", "jwt", "at+jwt", "application/at+jwt"):
        return Unknown("person_malformed")
    kid = header.get("kid")
    return kid if isinstance(kid, str) and kid else Unknown("person_unknown_key")


def read_person(token: str, key: ProviderKey, expected: Expected, now: float) -> Person | Unknown:
    """Return the person that a token speaks of, or why it does not hold.

    Args:
        token: compact JWT.
        key: the provider's key that it names.
        expected: issuer, audience and clients.
        now: Unix seconds.
    """
    try:
        signed = _JWS.decode_complete(token, key.key, algorithms=[key.algorithm])
        claims = json.loads(signed["payload"], object_pairs_hook=_unique)
    except PyJWTError as error:
        wrong = type(error).__name__ == "InvalidAlgorithmError"
        return Unknown("person_wrong_algorithm" if wrong else "person_bad_signature")
    except (ValueError, RecursionError):
        return Unknown("person_malformed")
    if not isinstance(claims, dict):
        return Unknown("person_malformed")
    cause = _untimely(claims, now) or _misaddressed(claims, expected)
    return Unknown(cause) if cause else _person(claims, expected)


def _untimely(claims: dict[str, Any], now: float) -> PersonCause | None:
    times: list[Any] = [claims.get("exp"), claims.get("nbf", 0), claims.get("iat")]
    if not all(_is_time(value) for value in times):
        return "person_malformed"
    expires, begins, issued = times
    if not 0 < expires - issued <= MAX_LIFETIME_SECONDS:
        return "person_malformed"
    if now >= expires:
        return "person_expired"
    return "person_not_yet_valid" if max(begins, issued) > now + LEEWAY_SECONDS else None


def _misaddressed(claims: dict[str, Any], expected: Expected) -> PersonCause | None:
    if claims.get("iss") != expected.issuer:
        return "person_wrong_issuer"
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or expected.audience not in audiences:
        return "person_wrong_audience"
    if expected.nonce is not None and claims.get("nonce") != expected.nonce:
        return "person_wrong_nonce"
    client = claims.get("azp")
    if client is None:
        return "person_wrong_client" if len(audiences) > 1 else None
    return None if isinstance(client, str) and client in expected.clients else "person_wrong_client"


def _person(claims: dict[str, Any], expected: Expected) -> Person | Unknown:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_VALUE_CHARS - 1:
        return Unknown("person_malformed")
    found = {"sub": [subject]}
    for name in expected.claims:
        values = texts(claims, name)
        if len(values) > MAX_VALUES or any(len(value) > MAX_VALUE_CHARS for value in values):
            return Unknown("person_too_many_claims")
        if values:
            found[name] = values
    return Person(
        id=person_id(expected.issuer, subject), issuer=expected.issuer, claims=found, expires_at=float(claims["exp"])
    )


def texts(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the texts of a claim: one, or a list of them; a dot in ``name`` leads into an object where it must."""
    node: Any = claims
    if name in claims:
        node = claims[name]
    else:
        for part in name.split("."):
            node = node.get(part) if isinstance(node, dict) else None
    values = node if isinstance(node, list) else [node]
    return [value for value in values if isinstance(value, str)]


def person_id(issuer: str, subject: str) -> str:
    """Return our name for a person: it follows from who vouches for whom, and says neither."""
    digest = hashlib.sha256(json.dumps([issuer, subject]).encode()).digest()
    name = "person-" + urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not is_identifier(name):
        raise AssertionError("a name of our own making is one")
    return name


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 253_402_300_799


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated")
    return found


_JWS = PyJWS()
