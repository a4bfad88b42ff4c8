"""Inferences as the SDK asks for them, and a point that verifies them offline."""

from collections.abc import Mapping
from typing import Any

import jwt
from jwt import PyJWKSet
from jwt.types import Options

from adapters.answers import Grant
from adapters.credentials import target
from adapters.member import Member
from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext
from evaluation.beyond.world import GATEWAY, MODEL, World

INFER = "INFER"
SIZE = CapabilityContext(inference=InferenceSize(prompt_tokens=40, max_output_tokens=4))
URL = target(GATEWAY, "")


def asked(member: Member, model: str = MODEL, audience: str = GATEWAY) -> Grant:
    """Ask for an inference."""
    return member.plane.capability("inference", Resource(type="model", id=model), audience, SIZE)


def proof(member: Member, world: World, token: str) -> str:
    """Prove a member's key for one presentation of a capability."""
    return make_proof(member.key, method=INFER, url=URL, now=world.clock(), access_token=token)


def shown(point: CapabilityVerifier, token: str, with_proof: str | None, **other: str) -> bool:
    """Show a capability at an enforcement point, and return whether it holds there."""
    asks = {"action": "inference", "resource_id": MODEL} | other
    return not isinstance(point.verify(token, proof=with_proof, method=INFER, url=URL, **asks), Refused)


def bearer(token: str, jwks: Mapping[str, Any], issuer: str, audience: str | None, now: float) -> bool:
    """What an endpoint does that takes a token for whoever shows it: signature, issuer, time, and perhaps audience."""
    key_id = jwt.get_unverified_header(token)["kid"]
    key = PyJWKSet.from_dict(dict(jwks))[key_id]
    checks: Options = {"verify_aud": audience is not None, "verify_exp": False}
    try:
        claims = jwt.decode(token, key, algorithms=["ES256"], audience=audience, issuer=issuer, options=checks)
    except jwt.InvalidTokenError:
        return False
    return bool(claims["exp"] > now)
