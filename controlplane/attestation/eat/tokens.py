"""A token's signature and its claims, from CWT (RFC 8392: COSE_Sign1) and from JWT (RFC 7519), both ES256."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cwt.cose_key_interface import COSEKeyInterface
from cwt.exceptions import CWTError

from controlplane.attestation.cbor import Tagged, read_cbor
from controlplane.attestation.eat.claims import DEBUG_STATUS, NAMES
from controlplane.attestation.interface import EvidenceRefused
from controlplane.jose.jws import Compact, decode_segment, is_signed_by, parse, parse_object

MAX_BYTES = 8192
"""Of a token."""

JWT_TYPE = "eat+jwt"
CWT_TYPE = "application/eat+cwt"
"""RFC 9782; the header that carries it in COSE is that of RFC 9596."""

_SIGN1, _CWT = 18, 61
_CWT_HEAD = 2
_ALG, _KID, _TYP = 1, 4, 16
_ES256 = -7
_BYTES = ("eat_nonce", "ueid", "oemid", "hwmodel")
_MEASUREMENTS = "ztfm_measurements"


@dataclass(frozen=True, slots=True)
class JsonToken:
    """A JWT of which nothing is verified yet.

    Attributes:
        thumbprint: of the key that signed it (RFC 7638), if its header says so.
        parsed: its parts.
    """

    thumbprint: str | None
    parsed: Compact

    def open(self, key: EllipticCurvePublicKey) -> dict[str, Any]:
        """Return its claims, if the key signed it, with bytes as bytes.

        Raises:
            EvidenceRefused: ``signature`` or ``malformed``.
        """
        if not is_signed_by(key, self.parsed):
            raise _forged()
        try:
            return {name: _from_json(name, value) for name, value in parse_object(self.parsed.payload).items()}
        except (ValueError, RecursionError):
            raise EvidenceRefused("malformed", "the token's payload is no claims in JSON, each once") from None


@dataclass(frozen=True, slots=True)
class BinaryToken:
    """A CWT of which nothing is verified yet.

    Attributes:
        thumbprint: of the key that signed it (RFC 7638), if its header says so.
        whole: its bytes, without the tag that says that it is one.
        payload: what it carries.
    """

    thumbprint: str | None
    whole: bytes
    payload: bytes

    def open(self, key: EllipticCurvePublicKey) -> dict[str, Any]:
        """Return its claims by their names in JWT, if the key signed it.

        Raises:
            EvidenceRefused: ``signature`` or ``malformed``.
        """
        try:
            cwt.COSE.new().decode(self.whole, _cose_key(key, self.thumbprint))
        except (CWTError, ValueError, TypeError):
            raise _forged() from None
        return named_claims(self.payload)


def named_claims(payload: bytes) -> dict[str, Any]:
    """Return the claims in a CWT's payload by their names in JWT.

    Raises:
        EvidenceRefused: ``malformed``.
    """
    found = read_cbor(payload, "the token's payload")
    if not isinstance(found, dict) or any(type(name) is not int for name in found):
        raise EvidenceRefused("malformed", "the token's payload is no claims by their numbers")
    return {NAMES.get(name, f"claim {name}"): _from_cbor(name, value) for name, value in found.items()}


def read_token(data: bytes) -> JsonToken | BinaryToken:
    """Return a token: a JWT as text, or a CWT.

    Raises:
        EvidenceRefused: ``malformed``, or ``unsupported`` for another header.
    """
    return _json(data) if data[:2] == b"ey" else _binary(data)


def _json(data: bytes) -> JsonToken:
    token = parse(data.decode("ascii", "replace"), MAX_BYTES)
    if token is None:
        raise EvidenceRefused("malformed", "the token is no compact JWT")
    header: Mapping[str, Any] = token.header
    if not {"alg", "typ"} <= header.keys() <= {"alg", "typ", "kid"} or header["typ"] != JWT_TYPE:
        raise EvidenceRefused("unsupported", f"the token's header is not alg, typ {JWT_TYPE} and at most a kid")
    thumbprint = header.get("kid")
    if header["alg"] != "ES256" or not (thumbprint is None or isinstance(thumbprint, str)):
        raise EvidenceRefused("unsupported", "the token is not signed with ES256 by a key that its kid names")
    return JsonToken(thumbprint, token)


def _binary(data: bytes) -> BinaryToken:
    """A message that leaves nothing unsigned but the signature."""
    found = read_cbor(data, "the token")
    if isinstance(found, Tagged) and found.tag == _CWT:
        found, data = found.value, data[_CWT_HEAD:]
    parts = found.value if isinstance(found, Tagged) and found.tag == _SIGN1 else None
    if not isinstance(parts, list) or len(parts) != 4 or parts[1] != {}:
        raise EvidenceRefused("malformed", "the token is no COSE_Sign1 with all of its headers protected")
    protected, payload, signature = parts[0], parts[2], parts[3]
    if not (isinstance(protected, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)):
        raise EvidenceRefused("unsupported", "the token's payload is detached, or its parts are no bytes")
    return BinaryToken(_thumbprint(read_cbor(protected, "the token's header")), data, payload)


def _thumbprint(header: object) -> str | None:
    if not isinstance(header, dict) or not {_ALG} <= header.keys() <= {_ALG, _KID, _TYP}:
        raise EvidenceRefused("unsupported", "the token's header is not alg and at most kid and typ")
    if header[_ALG] != _ES256 or header.get(_TYP, CWT_TYPE) != CWT_TYPE:
        raise EvidenceRefused("unsupported", f"the token is not signed with ES256, or not of the type {CWT_TYPE}")
    kid = header.get(_KID)
    if kid is not None and not (isinstance(kid, bytes) and kid.isascii()):
        raise EvidenceRefused("unsupported", "the token's kid is not the thumbprint of a key (RFC 7638), in ASCII")
    return None if kid is None else kid.decode("ascii")


def _forged() -> EvidenceRefused:
    return EvidenceRefused("signature", "the token's signature does not hold")


def _cose_key(key: EllipticCurvePublicKey, kid: str | None) -> COSEKeyInterface:
    """The key by the name that the token's header has for it, as the library finds keys by it."""
    numbers = key.public_numbers()
    x, y = (value.to_bytes(32, "big") for value in (numbers.x, numbers.y))
    named = {} if kid is None else {2: kid.encode()}
    return cwt.COSEKey.new({1: 2, 3: _ES256, -1: 1, -2: x, -3: y, **named})


def _from_json(name: str, value: Any) -> Any:
    if name in _BYTES and isinstance(value, str):
        return decode_segment(value.encode("ascii"))
    if name == _MEASUREMENTS and isinstance(value, dict):
        return {key: decode_segment(one.encode("ascii")) if isinstance(one, str) else one for key, one in value.items()}
    return value


def _from_cbor(name: int, value: Any) -> Any:
    """A claim as JSON has it. Times have no tag within a CWT (RFC 8392 section 2)."""
    if NAMES.get(name) == "dbgstat" and type(value) is int and 0 <= value < len(DEBUG_STATUS):
        return DEBUG_STATUS[value]
    return value
