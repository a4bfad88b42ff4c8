"""A device's life with a TPM: it enrols, attests, gets a key, pulls, trains, submits; once tampered with, nothing."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from cryptography.hazmat.primitives.serialization import Encoding
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.attesting.software import SoftwareMaker, SoftwareTpm
from adapters.attesting.tpm import TpmAttester
from adapters.calls import segment
from adapters.errors import Denied, Forbidden
from adapters.guard import Guard, Member, SealedRound, Submission
from adapters.screening import update_digest
from adapters.sealed.opening import SealedWeights, open_weights
from adapters.sealed.sealing import seal_weights
from controlplane.confidentiality.hpke import PrivateReleaseKey
from controlplane.confidentiality.releasing import open_release, to_text
from controlplane.confidentiality.shards import secret_id, shard_secret
from controlplane.contracts.secrets import ReleasedSecret
from controlplane.sidecar.folders import product_folder
from tests.servers.swtpm import SwtpmMissing, software_tpm
from tests.support import MODEL, Caller, ControlPlane, Reply, running

AUDIENCE, SHARD = "aggregator-1", "weights"
PCRS = (0, 4, 7, 15)
APPLICATION = 15
SECRET = shard_secret(bytes(range(32)), MODEL, SHARD)


@dataclass(frozen=True)
class World:
    """A control plane where a model is for attested devices, and what a device needs."""

    plane: ControlPlane
    tpm: SoftwareTpm
    member: Member
    attester: TpmAttester
    guard: Guard
    folder: Path

    def released(self, capability: str | None) -> Reply:
        """Ask for the weights' key."""
        asked = {"purpose": "training"} | ({} if capability is None else {"capability": capability})
        caller = Caller(self.plane, self.member.key, self.member.id)
        return caller.post(f"/v1/secrets/{segment(secret_id(MODEL, SHARD))}/release", asked)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("life")
    maker = SoftwareMaker(folder / "maker")
    roots = folder / "roots" / "tpm"
    roots.mkdir(parents=True)
    (roots / "swtpm.pem").write_bytes(maker.root.public_bytes(Encoding.PEM))
    with ExitStack() as stack:
        try:
            tpm = stack.enter_context(software_tpm(folder / "tpm", maker))
        except SwtpmMissing as missing:
            pytest.skip(str(missing))
        plane = stack.enter_context(running(policies=demanding(folder), attestation_roots=folder / "roots"))
        member = stack.enter_context(enrolled(plane, folder / "device", "trainer", "homes"))
        aggregator = stack.enter_context(enrolled(plane, folder / "aggregator", "aggregator", "core"))
        plane.enrol("administrator").post(
            "/v1/secrets", {"id": secret_id(MODEL, SHARD), "secret": to_text(SECRET)}
        ).expect(201)
        attester = TpmAttester(folder / "device", tpm.tcti, PCRS)
        yield World(plane, tpm, member, attester, Guard(aggregator.plane, audience=AUDIENCE, model=MODEL), folder)


def demanding(folder: Path) -> Path:
    """Policies by which the model is for attested devices alone."""
    policies = folder / "policies"
    shutil.copytree(product_folder("policies"), policies)
    path = policies / "data" / "limits" / "data.json"
    limits = json.loads(path.read_text())
    limits["sensitivities"]["internal"]["attestation"] = "software"
    path.write_text(json.dumps(limits))
    return policies


def enrolled(plane: ControlPlane, folder: Path, role: str, segment: str) -> Member:
    return Member.enrol(folder, plane.url, plane.token([role], segment), roles=[role], segment=segment)


def codes(denied: Denied) -> set[str]:
    return {reason.code for reason in denied.reasons}


def test_a_device_attests_is_given_a_key_pulls_trains_and_submits(world: World) -> None:
    member, key = world.member, PrivateReleaseKey.generate("mlkem768-x25519")
    state = {"head.weight": torch.ones(8, 4)}
    sealed = world.guard.seal(state, [member.id])
    with pytest.raises(Denied) as denied:
        member.pull(sealed.terms)
    assert {"attestation_sufficient", "attestation_fresh"} & codes(denied.value)

    result = member.plane.attest(world.attester, key.public)
    assert (result.kind, result.level, result.reference) == ("tpm", "software", "software-tpm")

    pull = member.pull(sealed.terms)
    assert world.guard.authorize_pull(sealed, pull) == member.id
    released = ReleasedSecret.model_validate_json(world.released(pull.capability).body)
    secret = open_release(released, key, secret=secret_id(MODEL, SHARD), device=member.id)
    assert secret == SECRET

    trained = train(pulled(world, sealed, state, secret))
    update = {name: trained[name] - tensor for name, tensor in state.items()}
    credentials = member.submit(sealed.terms, update_digest(update, sealed.manifest))
    gated = world.guard.gate(sealed, [Submission(member.id, update, 10, credentials)], reference=update)
    assert [ruling.cause for ruling in gated.rulings] == [""]


def test_a_tampered_register_ends_it_and_names_what_is_wrong(world: World) -> None:
    member, key = world.member, PrivateReleaseKey.generate("x25519")
    member.plane.attest(world.attester, key.public)
    sealed = world.guard.seal({"head.weight": torch.ones(8, 4)}, [member.id])
    before = member.pull(sealed.terms)
    world.attester.extend(APPLICATION, hashlib.sha256(b"a program that nobody knows").digest())

    with pytest.raises(Forbidden) as refused:
        member.plane.attest(world.attester, key.public)
    (reason,) = refused.value.problem.reasons or ()
    (difference,) = reason.differences or ()
    assert reason.code == "measurements_match"
    assert difference.claim == "measurements.pcr15"
    assert difference.seen == world.attester.values()[APPLICATION].hex()
    assert difference.wanted == ["0" * 64]

    reply = world.released(before.capability)
    assert reply.status == 403, reply.body
    assert "attestation_sufficient" in {one["code"] for one in reply.json["reasons"]}
    with pytest.raises(Denied) as denied:
        member.pull(sealed.terms)
    assert "attestation_sufficient" in codes(denied.value)


def test_evidence_of_before_does_not_answer_another_challenge(world: World) -> None:
    member, plane = world.member, world.member.plane
    made = plane.challenge("tpm", world.attester.endorsement())
    assert made.credential is not None
    shown = {"challenge": made.id, "kind": "tpm", "evidence": {"quote": "", "signature": "", "pcrs": ""}}
    caller = Caller(world.plane, member.key, member.id)
    for _ in range(2):
        reply = caller.post("/v1/attestations", shown)
        assert reply.status == 403, reply.body
    assert "challenge_fresh" in {reason["code"] for reason in reply.json["reasons"]}


def pulled(world: World, sealed: SealedRound, state: dict[str, Tensor], secret: bytes) -> dict[str, Tensor]:
    """What a device has of weights that lie sealed where anybody may read them."""
    plain, hidden, opened = (world.folder / name for name in ("plain", "hidden", "opened"))
    save_file(state, plain)
    round_id = sealed.terms.round_id
    seal_weights(plain, hidden, {SHARD: ["*"]}, {SHARD: SECRET}, model=MODEL, round_id=round_id, policy_revision="r")
    plain.unlink()
    with SealedWeights(hidden) as weights:
        weights.require(MODEL, round_id=round_id)
        open_weights(weights, {SHARD: secret}, opened)
    return load_file(opened)


def train(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor + 0.1 for name, tensor in state.items()}
