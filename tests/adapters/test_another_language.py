"""A device that knows docs/integrating.md and nothing of our code: PyJWT, SHA-256 and HTTP."""

import hashlib
import json
import struct
import time
from base64 import urlsafe_b64encode
from typing import Any
from uuid import uuid4

import jwt
import torch
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from adapters.guard import Credentials, Guard, Introduction, Refused, Submission
from tests.adapters.conftest import AUDIENCE, update_of
from tests.support import MODEL, ControlPlane


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Stranger:
    """What another language would write."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.private = generate_private_key(SECP256R1())
        numbers = self.private.public_key().public_numbers()
        x, y = (b64(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
        self.jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        canonical = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
        self.id = "dev-" + b64(hashlib.sha256(canonical.encode()).digest())

    def proof(self, method: str, url: str, token: str | None = None, digest: str | None = None) -> str:
        claims: dict[str, Any] = {"jti": str(uuid4()), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
        if digest is not None:
            claims["ztfm_digest"] = digest
        return jwt.encode(claims, self.private, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": self.jwk})

    def post(self, path: str, document: object) -> Any:
        proof = self.proof("POST", self.plane.url + path)
        return self.plane.call("POST", path, proof=proof, body=json.dumps(document).encode()).expect(201)


def digest_of(update: dict[str, list[float]], shapes: dict[str, tuple[int, ...]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(update):
        form = f"float32[{','.join(map(str, shapes[name]))}]"
        for part in (name.encode(), form.encode(), struct.pack(f"<{len(update[name])}f", *update[name])):
            digest.update(struct.pack("<Q", len(part)) + part)
    return f"sha256:{digest.hexdigest()}"


def test_a_device_in_another_language_takes_part_in_a_round(
    plane: ControlPlane, guard: Guard, state: dict[str, torch.Tensor]
) -> None:
    stranger = Stranger(plane)
    token = plane.token(["trainer"], "homes")
    enrolled = stranger.post("/v1/devices", {"token": token, "roles": ["trainer"], "segment": "homes"})
    assert enrolled["id"] == stranger.id

    introduction = Introduction(stranger.id, stranger.proof("IDENTIFY", f"urn:ztfm:{AUDIENCE}:"))
    assert guard.identify(introduction) == stranger.id
    sealed = guard.seal(state, [stranger.id])
    round_id, target = sealed.terms.round_id, f"urn:ztfm:{AUDIENCE}:{sealed.terms.round_id}"

    resource = {"type": "model", "id": MODEL, "properties": {"digest": sealed.terms.model_digest}}
    context = {"purpose": "training", "round_id": round_id}
    asked = {"action": "model_access", "resource": resource, "audience": AUDIENCE, "context": context}
    pull = stranger.post("/v1/capabilities", asked)["access_token"]
    shown = Credentials(stranger.id, pull, stranger.proof("PULL", target, pull))
    assert not isinstance(guard.authorize_pull(sealed, shown), Refused)

    update = update_of(state, 1)
    values = {name: tensor.flatten().tolist() for name, tensor in update.items()}
    digest = digest_of(values, {name: tuple(tensor.shape) for name, tensor in update.items()})
    asked = {
        "action": "gradient_submission",
        "resource": {"type": "model", "id": MODEL},
        "audience": AUDIENCE,
        "context": {"round_id": round_id},
    }
    submit = stranger.post("/v1/capabilities", asked)["access_token"]
    shown = Credentials(stranger.id, submit, stranger.proof("SUBMIT", target, submit, digest))
    gated = guard.gate(sealed, [Submission(stranger.id, update, 10, shown)], reference=update_of(state, 2))
    assert [ruling.cause for ruling in gated.rulings] == [""]
