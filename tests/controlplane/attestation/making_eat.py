"""Tokens as platforms would sign them: CWT and JWT of our profile."""

import json
from typing import Any

import cbor2
import cwt
from cryptography.hazmat.primitives.asymmetric import ec

from controlplane.attestation.eat.claims import DEBUG_STATUS, NAMES, PROFILE
from controlplane.jose.jws import encode_segment, sign
from controlplane.jose.keys import thumbprint, to_public
from tests.controlplane.attestation.making_chains import AT

KEY_OF = {name: number for number, name in NAMES.items()}

CLAIMS: dict[str, Any] = {
    "iat": int(AT),
    "exp": int(AT) + 300,
    "eat_nonce": bytes(range(32)),
    "ueid": b"\x01" + bytes(range(16)),
    "oemid": bytes(range(16)),
    "hwmodel": b"board 7",
    "oemboot": True,
    "dbgstat": "disabled-permanently",
    "eat_profile": PROFILE,
    "swname": "trainer",
    "swversion": ["2.1.0", 1],
    "ztfm_measurements": {"boot": b"\xaa" * 32, "root": b"\xbb" * 48},
}


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def kid_of(key: ec.EllipticCurvePrivateKey) -> str:
    return thumbprint(to_public(key.public_key()))


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


def jwt(key: ec.EllipticCurvePrivateKey, claims: dict[str, Any] = CLAIMS, **header: Any) -> bytes:
    """A JWT; other members of the header take the place of its own, and those that are none are left out."""
    head = {"alg": "ES256", "typ": "eat+jwt", "kid": kid_of(key), **header}
    head = {name: value for name, value in head.items() if value is not None}
    payload = json.dumps(as_json(claims)).encode()
    return sign(key, encode_segment(json.dumps(head).encode()), payload).encode()


def as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_json(one) for name, one in value.items()}
    if isinstance(value, list):
        return [as_json(one) for one in value]
    return encode_segment(value).decode() if isinstance(value, bytes) else value


def cwt_of(
    key: ec.EllipticCurvePrivateKey,
    claims: dict[str, Any] = CLAIMS,
    *,
    unprotected: dict[int, Any] | None = None,
    tagged: bool = False,
    payload: bytes | None = None,
    **header: Any,
) -> bytes:
    """A CWT, made by the library; other headers by ``alg``, ``kid`` and ``typ``."""
    names = {"alg": 1, "kid": 4, "typ": 16, "other": 99}
    head = {"alg": -7, "kid": kid_of(key).encode(), "typ": "application/eat+cwt", **header}
    protected = {names[name]: value for name, value in head.items() if value is not None}
    numbers = {KEY_OF.get(name, name): _as_cbor(name, value) for name, value in claims.items()}
    signer = cwt.COSEKey.new(_cose(key))
    body = cbor2.dumps(numbers) if payload is None else payload
    made = cwt.COSE.new().encode(body, signer, protected=protected, unprotected=unprotected or {})
    return b"\xd8\x3d" + made if tagged else made


def _as_cbor(name: str, value: Any) -> Any:
    return DEBUG_STATUS.index(value) if name == "dbgstat" and value in DEBUG_STATUS else value


def _cose(key: ec.EllipticCurvePrivateKey) -> dict[int, Any]:
    public, secret = key.public_key().public_numbers(), key.private_numbers().private_value
    x, y, d = (number.to_bytes(32, "big") for number in (public.x, public.y, secret))
    return {1: 2, 3: -7, -1: 1, -2: x, -3: y, -4: d}


def public_cose(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half as a COSE key."""
    return cbor2.dumps({name: value for name, value in _cose(key).items() if name != -4})
