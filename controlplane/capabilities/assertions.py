"""Assertions: short JWTs by which the holder of an enrolled key says who it is at the token endpoint.

They authenticate a client (RFC 7523, ``private_key_jwt``) and are what a capability is exchanged for (RFC 8693). The
key is the one that was enrolled; nothing in a header can name another (RFC 8725 sections 3.1, 3.10 to 3.12).
"""

import hashlib
import json
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from controlplane.capabilities.refusals import Cause, Refused
from controlplane.contracts.identity import PublicKey
from controlplane.contracts.oauth import ASSERTION_SECONDS
from controlplane.jose.jws import encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import DeviceKey, load_public, thumbprint

LEEWAY_SECONDS = 5.0

_HEADER_NAMES = frozenset({"alg", "typ", "kid"})
_TYPES = frozenset({"JWT", "client-authentication+jwt"})
_DELEGATING = frozenset({"act", "may_act"})
_JTI = re.compile(r"[\x21-\x7e]{1,128}")

_DETAILS: dict[Cause, str] = {
    "assertion_malformed": "The assertion is not a compact JWT with iss, sub, aud, exp and jti.",
    "assertion_wrong_algorithm": "The assertion is not signed with ES256.",
    "assertion_wrong_type": "The assertion is of another type; a token or a proof is none.",
    "assertion_unknown_header": "The assertion's header has more than alg, typ and kid.",
    "assertion_wrong_key": "The assertion names another key than the enrolled one.",
    "assertion_bad_signature": "The assertion is not signed by the enrolled key.",
    "assertion_wrong_subject": "The assertion's iss and sub are not both the subject that proves its key.",
    "assertion_wrong_audience": "The assertion's one audience is neither the issuer nor the token endpoint.",
    "assertion_expired": "The assertion has expired.",
    "assertion_too_long": f"The assertion expires more than {ASSERTION_SECONDS} s ahead.",
    "assertion_not_yet_valid": "The assertion is from the future; compare the clocks.",
    "assertion_delegates": "The assertion names somebody who acts for another; nobody does here.",
    "assertion_replayed": "The assertion was used before.",
}


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion that holds. Whether it was used before is the caller's to find out.

    Attributes:
        use_id: names this one assertion of this one key; safe to keep.
        expires_at: Unix seconds.
    """

    use_id: str
    expires_at: float


def make_assertion(key: DeviceKey, *, subject: str, audience: str, now: float, seconds: float = 30.0) -> str:
    """Return an assertion by the holder of ``key``.

    Args:
        key: the enrolled key.
        subject: its enrolled name.
        audience: the issuer.
        now: Unix seconds.
        seconds: how long it holds; at most 60.
    """
    header = {"alg": "ES256", "typ": "JWT", "kid": key.thumbprint}
    claims = {
        "iss": subject,
        "sub": subject,
        "aud": audience,
        "iat": int(now),
        "exp": int(now + seconds),
        "jti": secrets.token_urlsafe(16),
    }
    return key.sign(encode_segment(_json(header)), _json(claims))


def examine_assertion(
    token: str, *, key: PublicKey, subject: str, audiences: Collection[str], now: float
) -> Assertion | Refused:
    """Return the assertion, or why it does not hold.

    Args:
        token: compact JWT.
        key: the subject's enrolled key; no other is ever looked at.
        subject: who must have made it, about itself.
        audiences: what the control plane may be called.
        now: Unix seconds.
    """
    parsed = parse(token)
    if parsed is None:
        return refuse("assertion_malformed")
    cause = _unfit(parsed.header, thumbprint(key))
    if cause:
        return refuse(cause)
    if not is_signed_by(load_public(key), parsed):
        return refuse("assertion_bad_signature")
    try:
        claims = parse_object(parsed.payload)
    except (ValueError, RecursionError):
        return refuse("assertion_malformed")
    cause = _misused(claims, subject, audiences) or _untimely(claims, now)
    if cause:
        return refuse(cause)
    named = f"{thumbprint(key)}.{claims['jti']}".encode()
    return Assertion(f"assertion-{encode_segment(hashlib.sha256(named).digest()).decode()}", float(claims["exp"]))


def refuse(cause: Cause) -> Refused:
    """Return the refusal of an assertion for a cause of this module."""
    return Refused(cause, _DETAILS[cause])


def _unfit(header: Any, kid: str) -> Cause | None:
    if header.get("alg") != "ES256":
        return "assertion_wrong_algorithm"
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind not in _TYPES:
        return "assertion_wrong_type"
    if not header.keys() <= _HEADER_NAMES:
        return "assertion_unknown_header"
    return None if header.get("kid", kid) == kid else "assertion_wrong_key"


def _misused(claims: dict[str, Any], subject: str, audiences: Collection[str]) -> Cause | None:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        return "assertion_malformed"
    if claims.get("iss") != subject or claims.get("sub") != subject:
        return "assertion_wrong_subject"
    if _DELEGATING & claims.keys():
        return "assertion_delegates"
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    # One audience and no more: an assertion that also names another server could be replayed from there.
    is_ours = len(named) == 1 and isinstance(named[0], str) and named[0] in audiences
    return None if is_ours else "assertion_wrong_audience"


def _untimely(claims: dict[str, Any], now: float) -> Cause | None:
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    if "exp" not in times or not all(map(_is_time, times.values())):
        return "assertion_malformed"
    expires_at = times.pop("exp")
    if now >= expires_at:
        return "assertion_expired"
    if expires_at > now + ASSERTION_SECONDS + LEEWAY_SECONDS:
        return "assertion_too_long"
    return "assertion_not_yet_valid" if any(time > now + LEEWAY_SECONDS for time in times.values()) else None


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 253_402_300_799


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
