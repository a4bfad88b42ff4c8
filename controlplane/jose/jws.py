"""Compact JWS with ES256 and nothing else (RFC 7515, RFC 7518 section 3.4).

PyJWT signs and verifies. The parser is stricter than PyJWT's and accepts one spelling of each token: a segment that
is not canonical base64url, a repeated JSON name or a NaN makes it malformed, so that no two parsers can read one
token differently (RFC 8725 section 2.4).
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm

from controlplane.contracts.unambiguous import read_json

MAX_TOKEN_CHARS = 8192
"""As long as a token may be; longer ones are not even decoded."""

MAX_HEADER_CHARS = 1024
"""As long as an encoded header may be: one with a P-256 key needs a third of it."""

KNOWN_HEADERS = 4096
"""Headers whose reading is remembered: a party's is the same on all its tokens."""

_ES256 = ECAlgorithm(ECAlgorithm.SHA256, SECP256R1)
_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Compact:
    """A parsed token of which nothing is verified yet.

    Attributes:
        header: the protected header.
        header_segment: the same as it was sent.
        payload: raw bytes of the payload.
        signed: the bytes that the signature is over.
        signature: 64 bytes, r then s.
    """

    header: Mapping[str, Any]
    header_segment: bytes
    payload: bytes
    signed: bytes
    signature: bytes


def encode_segment(raw: bytes) -> bytes:
    """Return ``raw`` as base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=")


def decode_segment(segment: bytes) -> bytes:
    """Return the bytes behind a base64url segment.

    Raises:
        ValueError: the segment is not the one canonical spelling of any bytes.
    """
    raw = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    if encode_segment(raw) != segment:
        raise ValueError("not canonical base64url")
    return raw


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: not UTF-8, not JSON, not an object, nested too deeply, a repeated name, or a number that JSON does
            not have.
    """
    found = read_json(raw)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def parse(token: object, most_chars: int = MAX_TOKEN_CHARS) -> Compact | None:
    """Return the parts of a compact token, or none when it is no text, malformed or too long."""
    if not isinstance(token, str) or len(token) > most_chars or token.count(".") != 2:
        return None
    try:
        raw = token.encode("ascii")
        signed, _, signature = raw.rpartition(b".")
        header, _, payload = signed.partition(b".")
        if len(header) > MAX_HEADER_CHARS:
            return None
        parsed = Compact(_header(header), header, decode_segment(payload), signed, decode_segment(signature))
    except (ValueError, RecursionError):
        return None
    return parsed if len(parsed.signature) == _SIGNATURE_BYTES else None


def header_segment(token: str) -> bytes:
    """Return the encoded header of a compact token.

    Raises:
        ValueError: it is too long, or no ASCII.
    """
    segment = token.partition(".")[0]
    if len(segment) > MAX_HEADER_CHARS:
        raise ValueError("the header is too long")
    return segment.encode("ascii")


def read_header(token: str) -> Mapping[str, Any]:
    """Return the header of a compact token; nothing is verified.

    Raises:
        ValueError: it is no header, or too long.
    """
    return _header(header_segment(token))


@lru_cache(maxsize=KNOWN_HEADERS)
def _header(segment: bytes) -> Mapping[str, Any]:
    return MappingProxyType(parse_object(decode_segment(segment)))


def sign(key: EllipticCurvePrivateKey, header_segment: bytes, payload: bytes) -> str:
    """Return the compact token of an encoded header and a payload, signed with a P-256 key."""
    signed = header_segment + b"." + encode_segment(payload)
    return (signed + b"." + encode_segment(_ES256.sign(signed, key))).decode("ascii")


def is_signed_by(key: EllipticCurvePublicKey, token: Compact) -> bool:
    """Whether ``token`` bears a signature of ``key``, which is on P-256."""
    return _ES256.verify(token.signed, key, token.signature)
