"""What the policy author writes as a model's limits arrives in the capabilities, and bounds what devices can do."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adapters.guard import Gated, Guard, Member, Refused, SealedRound, Submission
from adapters.screening import update_digest
from controlplane.contracts.capability import CapabilityClaims, Constraints
from controlplane.jose.jws import parse, parse_object
from controlplane.sidecar.folders import product_folder
from tests.adapters.conftest import AUDIENCE, update_of
from tests.support import DIGEST, MODEL, SEGMENTS, ControlPlane, running

LIMITS = {"max_bytes": 4096, "max_norm": 0.75, "epsilon": 0.5, "max_output_tokens": 7}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane whose policies limit the demo's model."""
    policies = tmp_path_factory.mktemp("limited") / "policies"
    shutil.copytree(product_folder("policies"), policies)
    file = policies / "data" / "resources" / "data.json"
    known = json.loads(file.read_text())
    known[MODEL]["limits"] = LIMITS
    file.write_text(json.dumps(known))
    with running(policies=policies) as found:
        yield found


@pytest.fixture
def join(limited: ControlPlane, tmp_path: Path) -> Iterator[Callable[[str, str], Member]]:
    joined: list[Member] = []

    def join(name: str, role: str) -> Member:
        token = limited.token([role], SEGMENTS[role])
        member = Member.enrol(tmp_path / name, limited.url, token, roles=[role], segment=SEGMENTS[role])
        joined.append(member)
        return member

    yield join
    for member in joined:
        member.close()


def limits_in(token: str) -> Constraints:
    parsed = parse(token)
    assert parsed is not None
    return CapabilityClaims.model_validate(parse_object(parsed.payload)).detail.constraints


def test_each_capability_carries_the_limits_that_fit_it(limited: ControlPlane) -> None:
    trainer, consumer, aggregator = (limited.enrol(role) for role in ("trainer", "consumer", "aggregator"))
    aggregator.open_round("limits-1", [trainer])
    submit = trainer.capability("gradient_submission", round_id="limits-1").expect(201)
    pull = trainer.capability("model_access", digest=DIGEST, purpose="training", round_id="limits-1").expect(201)
    size = {"prompt_tokens": 1, "max_output_tokens": 100}
    ask = consumer.capability("inference", inference=size).expect(201)
    assert limits_in(submit["access_token"]) == Constraints(
        round_id="limits-1", segment="homes", one_time=True, max_bytes=4096, max_norm=0.75, epsilon=0.5
    )
    assert limits_in(pull["access_token"]) == Constraints(
        round_id="limits-1", segment="homes", model_digest=DIGEST, purpose="training", max_bytes=4096
    )
    found = limits_in(ask["access_token"])
    assert (found.max_output_tokens, found.segment, found.max_norm) == (7, "homes", None)


def submission(member: Member, sealed: SealedRound, update: dict[str, Tensor]) -> Submission:
    return Submission(member.id, update, 10, member.submit(sealed.terms, update_digest(update, sealed.manifest)))


def test_an_update_beyond_the_norm_is_left_out_and_the_others_are_not(
    limited: ControlPlane, join: Callable[[str, str], Member], state: dict[str, Tensor]
) -> None:
    guard = Guard(join("server", "aggregator").plane, audience=AUDIENCE, model=MODEL)
    members = [join(f"device-{number}", "trainer") for number in range(5)]
    sealed = guard.seal(state, [member.id for member in members])
    updates = [update_of(state, seed) for seed in range(5)]
    assert all(norm_of(update) < 0.75 for update in updates)
    updates[2] = {name: tensor * (0.8 / norm_of(updates[2])) for name, tensor in updates[2].items()}
    gated: Gated = guard.gate(sealed, [submission(*pair) for pair in zip(members, [sealed] * 5, updates, strict=True)])
    assert [ruling.cause for ruling in gated.rulings] == ["", "", "capability_norm_kept", "", ""]


def test_a_model_that_is_larger_than_the_limit_is_neither_pulled_nor_trained(
    limited: ControlPlane, join: Callable[[str, str], Member]
) -> None:
    guard = Guard(join("server", "aggregator").plane, audience=AUDIENCE, model=MODEL)
    member = join("device", "trainer")
    large = {"weight": torch.zeros(1025)}
    sealed = guard.seal(large, [member.id])
    found = guard.authorize_pull(sealed, member.pull(sealed.terms))
    assert isinstance(found, Refused)
    assert found.cause == "too_large"
    gated = guard.gate(sealed, [submission(member, sealed, {"weight": torch.ones(1025)})])
    assert [ruling.cause for ruling in gated.rulings] == ["too_large"]


def test_a_guard_of_another_segment_takes_nothing(
    limited: ControlPlane, join: Callable[[str, str], Member], state: dict[str, Tensor]
) -> None:
    plane, member = join("server", "aggregator").plane, join("device", "trainer")
    for segment, cause in (("homes", ""), ("guests", "wrong_segment")):
        guard = Guard(plane, audience=AUDIENCE, model=MODEL, segment=segment)
        sealed = guard.seal(state, [member.id])
        found = guard.authorize_pull(sealed, member.pull(sealed.terms))
        assert (found.cause if isinstance(found, Refused) else "") == cause


def norm_of(update: dict[str, Tensor]) -> float:
    return float(torch.cat([tensor.flatten() for tensor in update.values()]).norm())
