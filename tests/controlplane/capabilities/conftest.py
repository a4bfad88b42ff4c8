import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from controlplane.capabilities.minting import Minter
from controlplane.capabilities.proof import ProofVerifier, make_proof
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import AuthorizationDetail, CapabilityClaims, Constraints
from controlplane.jose.jws import decode_segment, encode_segment
from controlplane.jose.keys import DeviceKey, SigningKey, jwks
from tests.clocks import Clock

ISSUER = "https://control.example"
AUDIENCE = "aggregator-1"
TARGET = "urn:ztfm:aggregator-1:r1"
START = 1_767_225_600.0


@dataclass
class World:
    """One issuer, one device, one enforcement point, and the hands of one clock."""

    clock: Clock = field(default_factory=Clock)
    device: DeviceKey = field(default_factory=DeviceKey.generate)
    signing: SigningKey = field(default_factory=SigningKey.generate)

    def __post_init__(self) -> None:
        self.minter = Minter(lambda: self.signing, ISSUER, self.clock)
        self.verifier = CapabilityVerifier(jwks([self.signing]), ISSUER, AUDIENCE, self.clock)
        self.proofs = ProofVerifier(self.clock)

    def mint(self, *, ttl: float = 60.0, audience: str = AUDIENCE, **constraints: Any) -> tuple[str, CapabilityClaims]:
        detail = AuthorizationDetail(
            type="ztfm",
            action="gradient_submission",
            resource_type="model",
            resource_id="intents",
            constraints=Constraints(**{"round_id": "r1", **constraints}),
        )
        name = f"dev-{self.device.thumbprint}"
        return self.minter.mint(name, self.device.thumbprint, audience, detail, "dec-1", "rev-1", ttl)

    def proof(self, token: str | None, **changes: Any) -> str:
        key = changes.pop("key", self.device)
        stated = {"method": "SUBMIT", "url": TARGET, "now": self.clock(), "access_token": token, **changes}
        return make_proof(key, **stated)

    def verify(self, token: str, proof: str | None = None, **changes: Any) -> Any:
        expected = {
            "proof": self.proof(token) if proof is None else proof,
            "method": "SUBMIT",
            "url": TARGET,
            "action": "gradient_submission",
            "resource_id": "intents",
            "round_id": "r1",
        }
        return self.verifier.verify(token, **{**expected, **changes})

    def cause(self, token: str, proof: str | None = None, **changes: Any) -> str:
        return str(getattr(self.verify(token, proof, **changes), "cause", ""))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def another() -> Callable[[], World]:
    return World


def forge(key: DeviceKey, header: Any, payload: Any) -> str:
    """A token with any header and any payload (objects, or raw bytes), properly signed."""
    return key.sign(encode_segment(_bytes(header)), _bytes(payload))


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the payload of a token."""
    header, payload, _ = token.split(".")
    return json.loads(decode_segment(header.encode())), json.loads(decode_segment(payload.encode()))


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()
