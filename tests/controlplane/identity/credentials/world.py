"""An issuer that is not ours, a device, and how it presents what it was given."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from adapters.presenting import Credential
from controlplane.identity.credentials.sdjwt import (
    Binding,
    Issued,
    check_times,
    read_presentation,
    verify_binding,
    verify_issued,
)
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import DeviceKey, load_public, to_public
from examples.enrolment import issuer

NOW = 1_767_225_600.0
HERE = "https://control.example"
MAKER = ec.generate_private_key(ec.SECP256R1())
ISSUER = to_public(MAKER.public_key())
DEVICE = DeviceKey.generate()
VCT = "https://issuer.example/device"


def issued(device: DeviceKey = DEVICE, **more: Any) -> str:
    """Return a credential for a device, as its issuer gave it."""
    options = {"claims": {"model": "hub-3"}, "vct": VCT, "now": NOW - 60.0, **more}
    return issuer.issue(MAKER, load_public(device.public), options.pop("claims"), **options)


def signed(header: dict[str, Any], claims: dict[str, Any], key: DeviceKey | None = None) -> str:
    """Return a token with exactly this header and these claims, of the issuer or of another key."""
    signer = DeviceKey(MAKER) if key is None else key
    return signer.sign(encode_segment(json.dumps(header).encode()), json.dumps(claims).encode())


def presented(credential: str, key: DeviceKey = DEVICE, audience: str = HERE, now: float = NOW) -> str:
    """Return a credential as its holder presents it."""
    return Credential(credential).present(key, audience, now)


def accepted(presentation: str, device: DeviceKey = DEVICE, now: float = NOW) -> tuple[Issued, Binding]:
    """Return what a presentation says and its binding, when all of it holds."""
    read = read_presentation(presentation)
    found = verify_issued(read, [ISSUER])
    check_times(found, now)
    return found, verify_binding(read, found, device.public, {HERE}, now)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token; nothing is verified."""
    header, claims, _ = token.split(".")
    return _json(header), _json(claims)


def _json(segment: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return found
