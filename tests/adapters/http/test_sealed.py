"""Updates that policy has sealed to the aggregator's attested key, over HTTP from end to end."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adapters.errors import ControlPlaneError, Unavailable
from adapters.guard import Guard, Member
from adapters.http.client import HttpClient
from adapters.jobs.taking_part import TENSORS
from controlplane.confidentiality.hpke import PrivateReleaseKey
from tests.adapters.http.jobs import QUICK, Enrol, honest, mean_of, open_round, running_job, taking_part
from tests.controlplane.attestations import attested
from tests.policies.support import POLICIES
from tests.support import MODEL, Caller, ControlPlane, running


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane whose policy has the updates of the demo's model sealed, and gives trainers one shard of it."""
    policies = tmp_path_factory.mktemp("sealed") / "policies"
    shutil.copytree(POLICIES, policies)
    data = policies / "data" / "resources" / "data.json"
    known = json.loads(data.read_text())
    known[MODEL]["transport"] = {"sealed_to": {"level": "software", "age_seconds": 600}}
    known[MODEL]["shards"] = {"adapter": {"training": {"trainer": True}}, "head": {"serving": {"consumer": True}}}
    data.write_text(json.dumps(known))
    with running(policies=policies) as found:
        yield found


@pytest.fixture
def aggregator(enrol: Enrol) -> Member:
    return enrol("aggregator")


@pytest.fixture
def guard(aggregator: Member) -> Guard:
    known = {"audience": "aggregator-1", "model": MODEL, "patience_seconds": 0.5}
    return Guard(aggregator.plane, shards=SHARDS, **known)  # type: ignore[arg-type]


@pytest.fixture
def members(enrol: Enrol) -> list[Member]:
    return [enrol("trainer") for _ in range(4)]


SHARDS = ["adapter"]


def attest(plane: ControlPlane, aggregator: Member, key: PrivateReleaseKey) -> None:
    attested(Caller(plane, aggregator.key, aggregator.id), key.public)


def test_a_round_of_sealed_updates_moves_the_state(
    plane: ControlPlane,
    guard: Guard,
    aggregator: Member,
    members: list[Member],
    state: dict[str, Tensor],
    tmp_path: Path,
) -> None:
    key = PrivateReleaseKey.generate()
    attest(plane, aggregator, key)
    with running_job(plane, guard, tmp_path / "a", state, update_key=key, shards=SHARDS) as job:
        with taking_part(members, job.url, tmp_path, {}) as sent:
            ended = job.result()
        assert sent == [1] * 4
    assert ended.rounds[0].accepted == 4
    torch.testing.assert_close(ended.state["weight"], mean_of(state, [0, 1, 2, 3])["weight"])
    assert not list(tmp_path.rglob("*.sealed"))


def test_what_is_not_sealed_or_to_another_key_is_not_sent_or_not_taken(
    plane: ControlPlane,
    guard: Guard,
    aggregator: Member,
    members: list[Member],
    state: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attest(plane, aggregator, PrivateReleaseKey.generate())
    bounds, other = replace(QUICK, least_members=1), PrivateReleaseKey.generate()
    # The job announces another key than the one that its aggregator's evidence binds.
    with running_job(plane, guard, tmp_path / "a", state, update_key=other, bounds=bounds, shards=SHARDS) as job:
        with HttpClient(members[0], job.url) as client:
            client.announce("aggregator-1")
            now = open_round(client)
            assert now.terms is not None
            client.pull(now.terms, tmp_path / "weights")
            honest(0)(tmp_path / "weights", tmp_path / "update", now)
            with pytest.raises(Unavailable, match="another key"):
                client.submit(now.terms, tmp_path / "update", 10)
            monkeypatch.setattr("adapters.http.client.sealed_to", lambda _capability: None)
            with pytest.raises(Exception, match="sealed to the key") as refused:
                client.submit(now.terms, tmp_path / "update", 10)
            assert getattr(refused.value, "status", 0) == 403
        job.stop()
    assert TENSORS == "application/vnd.safetensors"


def test_no_capability_is_given_while_the_aggregator_has_not_proven_its_platform(
    plane: ControlPlane, aggregator: Member, members: list[Member]
) -> None:
    known = Caller(plane, aggregator.key, aggregator.id)
    device = Caller(plane, members[0].key, members[0].id)
    known.open_round("round-unproven", [device])
    for changes in ({"age_seconds": 601.0}, {"release_key": None}):
        attested(known, None if "age_seconds" in changes else PrivateReleaseKey.generate().public, **changes)
        refused = device.capability("gradient_submission", round_id="round-unproven")
        assert (refused.status, refused.kind) == (503, "aggregator-unattested")
    attest(plane, aggregator, PrivateReleaseKey.generate("x25519"))
    device.capability("gradient_submission", round_id="round-unproven").expect(201)


@pytest.mark.parametrize(("ours", "guards"), [(None, SHARDS), (["adapter", "head"], SHARDS), (SHARDS, None)])
def test_what_a_capability_does_not_name_is_not_pulled(
    plane: ControlPlane,
    aggregator: Member,
    members: list[Member],
    state: dict[str, Tensor],
    tmp_path: Path,
    ours: list[str] | None,
    guards: list[str] | None,
) -> None:
    known = {"audience": "aggregator-1", "model": MODEL, "patience_seconds": 0.5}
    guard = Guard(aggregator.plane, shards=guards, **known)  # type: ignore[arg-type]
    bounds = replace(QUICK, least_members=1)
    with running_job(plane, guard, tmp_path / "a", state, bounds=bounds, shards=ours) as job:
        with HttpClient(members[0], job.url) as client:
            client.announce("aggregator-1")
            now = open_round(client)
            assert now.terms is not None
            with pytest.raises(ControlPlaneError, match=r"other parts of the weights|does not hold"):
                client.pull(now.terms, tmp_path / "weights")
        job.stop()
