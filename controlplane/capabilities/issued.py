"""What the control plane signs: each kind of token has a type of its own, and one way to be opened (RFC 8725, 3.11)."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from controlplane.jose.jws import Compact, encode_segment, is_signed_by, parse

ACCESS_TOKEN = "at+jwt"  # noqa: S105 - the type's name
"""The type of access tokens (RFC 9068 section 2.1): capabilities, and tokens for the control plane's own API."""

_HEADER_NAMES = frozenset({"typ", "alg", "kid"})

Unopened = Literal["malformed", "unknown_key", "bad_signature"]
"""Why a token does not open."""


@lru_cache(maxsize=32)
def header_of(kid: str, kind: str = ACCESS_TOKEN) -> bytes:
    """Return the encoded header of a token of ``kind`` that the key ``kid`` signs."""
    return encode_segment(json.dumps({"alg": "ES256", "kid": kid, "typ": kind}, separators=(",", ":")).encode())


def open_issued(
    token: str, key_of: Callable[[str], EllipticCurvePublicKey | None], kind: str = ACCESS_TOKEN
) -> Compact | Unopened:
    """Return a token of ``kind`` whose signature holds, or why it does not; its claims are not looked at.

    Args:
        token: compact JWT.
        key_of: finds a published key by its ``kid``, the only thing in a header that is listened to.
        kind: what it must be.
    """
    parsed = parse(token)
    if parsed is None:
        return "malformed"
    header = parsed.header
    if header.keys() != _HEADER_NAMES or header["typ"] != kind or header["alg"] != "ES256":
        return "malformed"
    key = key_of(header["kid"]) if isinstance(header["kid"], str) else None
    if key is None:
        return "unknown_key"
    return parsed if is_signed_by(key, parsed) else "bad_signature"
