"""An issuer of credentials for devices: ``python -m examples.enrolment.issuer issuer.pem issue hub.pub``.

It knows none of our code: PyJWT and cryptography sign an SD-JWT VC (RFC 9901), which is what any issuer would do. What
is disclosed selectively lies beside the signed part; whoever presents the credential may leave it out.
"""

import argparse
import base64
import hashlib
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

VCT = "https://issuer.example/device"

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_P256 = b"\x80\x24"


def open_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the issuer's key in a file; made at first, readable by its owner alone."""
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path} holds another kind of key")
        return key
    made = ec.generate_private_key(ec.SECP256R1())
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return made


def did_of(key: ec.EllipticCurvePublicKey) -> str:
    """Return the ``did:key`` of a P-256 key: its own name, which nobody has to look up."""
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    number, text = int.from_bytes(_P256 + point, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return f"did:key:z{text}"


def issue(
    key: ec.EllipticCurvePrivateKey,
    device: ec.EllipticCurvePublicKey,
    claims: Mapping[str, Any],
    *,
    disclosable: Mapping[str, Any] | None = None,
    vct: str = VCT,
    now: float | None = None,
    hours: float = 24.0,
    issuer: str | None = None,
    **more: Any,
) -> str:
    """Return an SD-JWT VC for the holder of a device's key.

    Args:
        key: the issuer's.
        device: the device's; only its holder can present the credential.
        claims: what is said of the device.
        disclosable: what may be left out when it is presented.
        vct: the kind of credential.
        now: Unix seconds.
        hours: how long it holds.
        issuer: its DID; none for the ``did:key`` of its key.
        more: claims in the place of those that would be written.
    """
    begun = int(time.time() if now is None else now)
    hidden = [_encoded(json.dumps([_salt(), name, value]).encode()) for name, value in (disclosable or {}).items()]
    payload = {
        "iss": issuer or did_of(key.public_key()),
        "vct": vct,
        "iat": begun,
        "exp": begun + int(hours * 3600),
        "cnf": {"jwk": _jwk(device)},
        **claims,
    }
    if hidden:
        digests = [_encoded(hashlib.sha256(text.encode()).digest()) for text in hidden]
        payload |= {"_sd": sorted(digests), "_sd_alg": "sha-256"}
    signed = jwt.encode({**payload, **more}, key, "ES256", headers={"typ": "dc+sd-jwt"})
    return "~".join([signed, *hidden, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the issuer's DID, or issue a credential, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.enrolment.issuer",
        description="Show the issuer's DID, or issue a credential for a device's public key.",
        epilog="Example: python -m examples.enrolment.issuer issuer.pem issue hub.pub --claim model=hub-3 > hub.txt",
    )
    parser.add_argument("key", type=Path, help="PEM file with the issuer's key; made at first")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    does = parser.add_subparsers(dest="does", required=True)
    does.add_parser("did", help="show the issuer's DID, which policy names")
    issuing = does.add_parser("issue", help="issue a credential")
    issuing.add_argument("device", type=Path, help="PEM file with the device's public key")
    issuing.add_argument("--vct", default=VCT, help="kind of credential")
    issuing.add_argument("--claim", action="append", default=[], metavar="NAME=TEXT", help="what is said of the device")
    issuing.add_argument("--disclosable", action="append", default=[], metavar="NAME=TEXT", help="what may be left out")
    issuing.add_argument("--hours", type=float, default=24.0, help="how long it holds")
    given = parser.parse_args(arguments)
    key = open_key(given.key)
    if given.does == "did":
        _print("did", did_of(key.public_key()), given.json)
        return 0
    device = serialization.load_pem_public_key(given.device.read_bytes())
    if not isinstance(device, ec.EllipticCurvePublicKey):
        print(f"{given.device} holds another kind of key than P-256", file=sys.stderr)
        return 1
    credential = issue(
        key, device, _pairs(given.claim), disclosable=_pairs(given.disclosable), vct=given.vct, hours=given.hours
    )
    _print("credential", credential, given.json)
    return 0


def _print(name: str, value: str, as_json: bool) -> None:
    print(json.dumps({name: value}) if as_json else value)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    x, y = (_encoded(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def _salt() -> str:
    return secrets.token_urlsafe(16)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


if __name__ == "__main__":
    sys.exit(main())
