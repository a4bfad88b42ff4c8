"""SD-JWT VCs with key binding: one strict reading of a presented credential (RFC 9901, SD-JWT VC).

Pure: keys, time and what was used before come in. A presentation is ``JWT~disclosure~...~KB-JWT``; the first part is
signed by the issuer, the last by the key that the first names.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import ValidationError

from controlplane.contracts.facts.enrolment import CredentialCause
from controlplane.contracts.identity import MAX_CREDENTIAL_CHARS, PublicKey
from controlplane.identity.credentials.disclosures import DisclosuresInvalid, disclose
from controlplane.jose.jws import Compact, encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import load_public

TYPE = "dc+sd-jwt"
BINDING_TYPE = "kb+jwt"
BINDING_SECONDS = 60.0
"""How long after its making a key binding may arrive."""

LEEWAY_SECONDS = 5.0
MAX_KEYS = 8
"""Keys of an issuer that are tried."""

CAUSES: dict[CredentialCause, str] = {
    "malformed": "it is no SD-JWT with its parts in canonical base64url",
    "wrong_type": f"its header is not that of a credential: typ {TYPE}, alg ES256, and at most a kid beside them",
    "issuer_unnamed": "its iss names no issuer",
    "issuer_unaccepted": "policy accepts nothing from its issuer",
    "issuer_unresolved": "its issuer's keys cannot be found now",
    "bad_signature": "it is not signed by a P-256 key of its issuer",
    "bad_disclosure": "its disclosures do not fit",
    "vct_missing": "it does not say of what kind it is (vct)",
    "times_malformed": "its iat, nbf or exp is no time",
    "expired": "it has expired",
    "not_yet_valid": "it is not valid yet; compare the clocks",
    "not_bound": "it names no P-256 key of its holder (cnf.jwk)",
    "wrong_key": "it is for another key than the one that signed the request's proof",
    "binding_missing": "it was presented without a key binding",
    "binding_malformed": f"its key binding is no JWT of typ {BINDING_TYPE} with iat, aud, nonce and sd_hash",
    "binding_wrong_audience": "its key binding is for another audience than this control plane",
    "binding_stale": f"its key binding is older than {BINDING_SECONDS:.0f} s, or from the future; compare the clocks",
    "binding_other_credential": "its key binding is of another presentation (sd_hash)",
    "binding_bad_signature": "its key binding is not signed by the key that it names",
    "binding_replayed": "its key binding was used before; make a new one",
}
"""What is said to whoever presented it."""

_END_OF_TIME = 253_402_300_799
_HEADER_NAMES = frozenset({"alg", "typ", "kid"})
_UNDISCLOSED = frozenset({"iss", "nbf", "exp", "cnf", "vct", "status"})
"""What is never selectively disclosed (SD-JWT VC section 3.2.2.2)."""


class CredentialInvalid(Exception):  # noqa: N818 - named for what happened
    """A credential does not hold.

    Attributes:
        cause: of the closed vocabulary.
        detail: more about it, with nothing of what was presented.
    """

    def __init__(self, cause: CredentialCause, detail: str = "") -> None:
        super().__init__(cause)
        self.cause: CredentialCause = cause
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Presented:
    """A presentation in its parts, of which nothing is verified.

    Attributes:
        issuer: that it names.
        token: of the issuer.
        payload: of that token.
        disclosures: as they were sent.
        binding: the key binding as it was sent; empty for none.
        bound: what the key binding's ``sd_hash`` is of.
    """

    issuer: str
    token: Compact
    payload: dict[str, Any]
    disclosures: list[str]
    binding: str
    bound: str


@dataclass(frozen=True, slots=True)
class Issued:
    """What an issuer signed: its word, of which times and holder are still to be looked at.

    Attributes:
        issuer: who.
        vct: the kind of credential.
        claims: all of it, with what was disclosed.
        issued_at: Unix seconds; none when it does not say.
        not_before: likewise.
        expires_at: likewise.
    """

    issuer: str
    vct: str
    claims: dict[str, Any]
    issued_at: float | None
    not_before: float | None
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Binding:
    """A key binding that holds. Whether it was used before is the caller's to find out.

    Attributes:
        use_id: names this one statement of this one key; a second signature of it has the same.
        until: when it is stale by itself, Unix seconds.
    """

    use_id: str
    until: float


def read_presentation(text: str) -> Presented:
    """Return the parts of a presentation.

    Raises:
        CredentialInvalid: it is none.
    """
    if len(text) > MAX_CREDENTIAL_CHARS or not text.isascii():
        raise CredentialInvalid("malformed")
    jwt, *rest = text.split("~")
    token = parse(jwt)
    if token is None or not rest or not all(rest[:-1]):
        raise CredentialInvalid("malformed")
    payload = _object(token, "malformed")
    if not _is_header(token, TYPE):
        raise CredentialInvalid("wrong_type")
    issuer = payload.get("iss")
    if not _is_name(issuer):
        raise CredentialInvalid("issuer_unnamed")
    return Presented(issuer, token, payload, rest[:-1], rest[-1], text.removesuffix(rest[-1]))


def verify_issued(presented: Presented, keys: Sequence[PublicKey]) -> Issued:
    """Return what the issuer signed.

    Args:
        presented: as it was read.
        keys: the issuer's; at most `MAX_KEYS` are tried.

    Raises:
        CredentialInvalid: it did not sign this, or what it signed is no credential.
    """
    if not any(_signed(presented.token, key) for key in keys[:MAX_KEYS]):
        raise CredentialInvalid("bad_signature")
    try:
        claims = disclose(presented.payload, presented.disclosures)
    except DisclosuresInvalid as error:
        raise CredentialInvalid("bad_disclosure", str(error)) from None
    if (claims.keys() - presented.payload.keys()) & _UNDISCLOSED:
        raise CredentialInvalid("bad_disclosure", "what must be in the open is disclosed selectively")
    vct = claims.get("vct")
    if not _is_name(vct):
        raise CredentialInvalid("vct_missing")
    return Issued(presented.issuer, vct, claims, _time(claims, "iat"), _time(claims, "nbf"), _time(claims, "exp"))


def check_times(issued: Issued, now: float) -> None:
    """Return when a credential is valid now (Unix seconds).

    Raises:
        CredentialInvalid: it is not.
    """
    if issued.expires_at is not None and now >= issued.expires_at:
        raise CredentialInvalid("expired")
    if any(time is not None and time > now + LEEWAY_SECONDS for time in (issued.issued_at, issued.not_before)):
        raise CredentialInvalid("not_yet_valid")


def verify_binding(
    presented: Presented, issued: Issued, holder: PublicKey, audiences: Collection[str], now: float
) -> Binding:
    """Return the key binding by which the credential's holder presents it, here and now (RFC 9901 section 7.3).

    Args:
        presented: as it was read.
        issued: what the issuer signed.
        holder: the key that signed the request's own proof.
        audiences: what this control plane may be called.
        now: Unix seconds.

    Raises:
        CredentialInvalid: it is not bound to this key, or not presented by it, here and now.
    """
    if _named_key(issued.claims.get("cnf")) != holder:
        raise CredentialInvalid("wrong_key")
    if not presented.binding:
        raise CredentialInvalid("binding_missing")
    token = parse(presented.binding)
    if token is None or not _is_header(token, BINDING_TYPE):
        raise CredentialInvalid("binding_malformed")
    claims = _object(token, "binding_malformed")
    made_at, nonce = claims.get("iat"), claims.get("nonce")
    if not _is_time(made_at) or not _is_name(nonce) or not isinstance(claims.get("sd_hash"), str):
        raise CredentialInvalid("binding_malformed")
    if not isinstance(claims.get("aud"), str) or claims["aud"] not in audiences:
        raise CredentialInvalid("binding_wrong_audience")
    if not now - BINDING_SECONDS - LEEWAY_SECONDS < made_at <= now + LEEWAY_SECONDS:
        raise CredentialInvalid("binding_stale")
    if claims["sd_hash"] != sd_hash(presented.bound):
        raise CredentialInvalid("binding_other_credential")
    if not _signed(token, holder):
        raise CredentialInvalid("binding_bad_signature")
    # Of what is signed, not of the signature: everybody can make a second one from that (r, n - s).
    return Binding(sd_hash(token.signed.decode()), made_at + BINDING_SECONDS + LEEWAY_SECONDS)


def sd_hash(presented: str) -> str:
    """Return the ``sd_hash`` of an SD-JWT with its disclosures, up to the last tilde (RFC 9901 section 4.3.1)."""
    return encode_segment(hashlib.sha256(presented.encode()).digest()).decode()


def _named_key(confirmation: object) -> PublicKey:
    if not isinstance(confirmation, dict) or confirmation.keys() != {"jwk"}:
        raise CredentialInvalid("not_bound")
    jwk = confirmation["jwk"]
    if not isinstance(jwk, dict) or "d" in jwk:
        raise CredentialInvalid("not_bound")
    try:
        return PublicKey.model_validate({name: jwk.get(name) for name in PublicKey.model_fields})
    except ValidationError:
        raise CredentialInvalid("not_bound") from None


def _signed(token: Compact, key: PublicKey) -> bool:
    try:
        return is_signed_by(load_public(key), token)
    except ValueError:
        return False


def _is_header(token: Compact, kind: str) -> bool:
    header = token.header
    return header.get("typ") == kind and header.get("alg") == "ES256" and header.keys() <= _HEADER_NAMES


def _object(token: Compact, cause: CredentialCause) -> dict[str, Any]:
    try:
        return parse_object(token.payload)
    except (ValueError, RecursionError):
        raise CredentialInvalid(cause) from None


def _time(claims: dict[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if not _is_time(value):
        raise CredentialInvalid("times_malformed")
    return float(value)


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isascii() and value.isprintable()


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _END_OF_TIME
