"""Rounds over HTTP of which the aggregator sees sums of groups alone, with a real control plane and a real OPA."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from adapters.credentials import Credentials, RoundTerms
from adapters.errors import ControlPlaneError, Exposing, Unavailable
from adapters.guard import Guard, Member, summing
from adapters.http.client import Announced, HttpClient
from adapters.http.signing import RequestSigner, write_content_digest
from adapters.jobs import masking
from adapters.jobs import summing as leading
from adapters.jobs.summing import Group
from adapters.jobs.taking_part import SUMMING
from adapters.jobs.tensorfile import read_stored
from adapters.screening import Manifest
from adapters.secureaggregation import Aborted, Scale, Session, Tolerance
from adapters.secureaggregation.messages import Agreed, Agreement, Masked, Stage, Survivors, read, write
from tests.adapters.conftest import AUDIENCE, update_of
from tests.adapters.http.jobs import QUICK, Enrol, honest, mean_of, open_round, running_job, taking_part
from tests.policies.support import POLICIES
from tests.support import ControlPlane, running

MODEL = "keyboard-suggestions"
ROUND = replace(QUICK, least_members=8, round_seconds=40.0, stage_seconds=3.0)
DIGEST = f"sha256:{'0' * 64}"

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane whose policy draws groups of four, so that few members are several groups."""
    policies = tmp_path_factory.mktemp("grouped") / "policies"
    shutil.copytree(POLICIES, policies)
    data = policies / "data" / "confidentiality" / "data.json"
    data.write_text(json.dumps({**json.loads(data.read_text()), "group_size": 4, "group_minimum": 3}))
    with running(policies=policies) as found:
        yield found


@pytest.fixture
def guard(enrol: Enrol, monkeypatch: pytest.MonkeyPatch) -> Guard:
    monkeypatch.setattr("tests.adapters.http.jobs.MODEL", MODEL)
    return Guard(enrol("aggregator").plane, audience=AUDIENCE, model=MODEL, patience_seconds=0.5)


class Leaving(Member):
    """Goes away once it has shared its secrets."""

    def submit_masked(self, terms: RoundTerms, digest: str) -> Credentials:
        raise Unavailable("its battery is empty")


class Careless(Member):
    """Asks for no more than a capability, and would send its update in the clear."""

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        return self._submitted(terms, digest, is_masked=True)


class Unmasked(Member):
    """Has a proof for something else than its masked values."""

    def submit_masked(self, terms: RoundTerms, digest: str) -> Credentials:
        return super().submit_masked(terms, DIGEST)


def reference(_number: int, state: Any) -> State:
    """What trusted data yields, so that two groups can be judged."""
    return update_of({name: state[name] for name in ("weight", "bias")}, seed=100)


def test_eight_members_in_two_groups_are_summed_though_one_of_them_leaves_and_a_ninth_never_comes(
    plane: ControlPlane, guard: Guard, enrol: Enrol, state: State, tmp_path: Path
) -> None:
    members = [enrol("trainer", kind=kind) for kind in (Leaving, *[Member] * 7)]
    never = enrol("trainer").id
    listed = [*(member.id for member in members), never]
    bounds = replace(ROUND, round_seconds=20.0, stage_seconds=2.5)
    given = {"bounds": bounds, "reference": reference, "members": listed}
    with running_job(plane, guard, tmp_path / "a", state, **given) as job:  # type: ignore[arg-type]
        with taking_part(members, job.url, tmp_path, {}) as sent:
            ended = job.result()
        assert sent == [0, *[1] * 7]
    assert guard.report.sums == {"done": 2}
    report = ended.rounds[0]
    assert (report.members, report.accepted) == (9, 7)
    assert {(drop.subject, drop.cause) for drop in report.drops} == {(members[0].id, "absent"), (never, "absent")}
    torch.testing.assert_close(ended.state["weight"], mean_of(state, [*range(1, 8)])["weight"], rtol=0.0, atol=1e-6)


def test_a_server_that_shows_two_members_different_survivors_gets_nothing(
    plane: ControlPlane,
    guard: Guard,
    enrol: Enrol,
    state: State,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens, revealed = cheating(monkeypatch)
    members = [enrol("trainer") for _ in range(8)]
    with running_job(plane, guard, tmp_path / "a", state, bounds=ROUND, reference=reference) as job:
        with taking_part(members, job.url, tmp_path, {}) as sent:
            ended = job.result()
        assert sent == [0] * 8
    assert (len(tokens), revealed) == (8, [])
    assert (guard.report.sums.total(), guard.report.sums["done"]) == (2, 0)
    assert ended.rounds[0].accepted == 0
    assert torch.equal(ended.state["weight"], state["weight"])


def cheating(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Have the server show every second member other survivors, and everybody all signatures; return what it gets."""
    fair_take, fair_next = leading._take, leading._next
    tokens: list[str] = []
    revealed: list[str] = []

    def take(group: Group, name: str, stage: Stage, path: Path, shown: Credentials | None) -> str:
        if stage == "reveal":
            revealed.append(name)
        if stage != "agree":
            return fair_take(group, name, stage, path, shown)
        agreement = read(Agreement, path.read_bytes())
        assert agreement is not None
        tokens.append(agreement.token)
        return ""

    def following(group: Group) -> Any:
        if group.stage == "agree":
            group.desk._stage += 1
            return dict.fromkeys(group.server.members, write(Agreed(tokens=tokens))), None
        due, fault = fair_next(group)
        if group.stage == "mask":
            names = sorted(due)
            survivors = read(Survivors, due[names[0]])
            assert survivors is not None
            for name in names[:2]:
                due[name] = write(Survivors(places=survivors.places[:-1]))
        return due, fault

    monkeypatch.setattr(leading, "_take", take)
    monkeypatch.setattr(leading, "_next", following)
    return tokens, revealed


def test_what_is_not_masked_is_refused_and_the_others_are_summed(
    plane: ControlPlane, guard: Guard, enrol: Enrol, state: State, tmp_path: Path
) -> None:
    members = [enrol("trainer", kind=kind) for kind in (Careless, Unmasked, *[Member] * 6)]
    refused: list[ControlPlaneError] = []

    def showing(weights: Path, update: Path, now: Announced) -> int:
        examples = honest(0)(weights, update, now)
        assert now.terms is not None
        with HttpClient(members[0], job.url) as client, pytest.raises(ControlPlaneError) as caught:
            client.submit(now.terms, update, examples)
        refused.append(caught.value)
        with HttpClient(members[2], job.url) as client, pytest.raises(Exposing, match="summed securely"):
            client.submit(now.terms, update, examples)
        return examples

    with (
        running_job(plane, guard, tmp_path / "a", state, bounds=ROUND, reference=reference) as job,
        taking_part(members, job.url, tmp_path, {0: showing}),
    ):
        ended = job.result()
    assert [error.status for error in refused] == [403]
    assert "summed securely" in str(refused[0])
    report = ended.rounds[0]
    assert report.accepted == 7
    assert {(drop.subject, drop.cause) for drop in report.drops} == {
        (members[0].id, "not_masked"),
        (members[1].id, "wrong_digest"),
    }
    torch.testing.assert_close(ended.state["weight"], mean_of(state, [0, *range(2, 8)])["weight"], rtol=0.0, atol=1e-6)


REFUSED: list[tuple[str, dict[str, str], int]] = [
    ("sum/advertise", {}, 422),
    ("sum/agree", {}, 409),
    ("sum/guess", {}, 404),
    ("sum/advertise", {"Content-Digest": ""}, 400),
    ("sum/advertise", {"Content-Type": "application/json"}, 415),
    ("sum/advertise", {"body": "x" * 80_000}, 413),
    ("sum/advertise", {"Signature": ""}, 401),
]


def test_what_is_no_answer_of_a_member_is_refused(opened: tuple[HttpClient, Announced, Member]) -> None:
    client, now, member = opened
    assert now.terms is not None
    shown = client.headers_of(member.pull(now.terms))
    statuses = []
    for path, change, _ in REFUSED:
        target, body = f"/v1/rounds/{now.terms.round_id}/{path}", change.get("body", "{}").encode()
        digest = write_content_digest(hashlib.sha256(body).digest())
        headers = {**shown, "Content-Type": change.get("Content-Type", SUMMING), "Content-Digest": digest}
        signed = RequestSigner(member.key, time.time).sign("POST", client._url + target, headers)
        with pytest.raises(ControlPlaneError) as refused:
            client._ask("POST", target, body, {name: change.get(name, text) for name, text in signed.items()})
        statuses.append(refused.value.status)
    assert statuses == [status for _, _, status in REFUSED]


def test_who_is_no_member_is_told_nothing_of_a_sum(
    opened: tuple[HttpClient, Announced, Member], enrol: Enrol, plane: ControlPlane
) -> None:
    client, now, _ = opened
    stranger = enrol("trainer")
    assert now.terms is not None
    assert now.is_summed
    shown = Credentials(stranger.id, "a.b.c", stranger._prove("PULL", now.terms, "a.b.c").proof)
    with HttpClient(stranger, client._url) as other, pytest.raises(ControlPlaneError) as refused:
        other._summing("GET", f"/v1/rounds/{now.terms.round_id}/sum/advertise", b"", shown)
    assert refused.value.status == 403


@pytest.fixture
def opened(
    plane: ControlPlane, guard: Guard, enrol: Enrol, state: State, tmp_path: Path
) -> Iterator[tuple[HttpClient, Announced, Member]]:
    """A member's client at a round that is open for it and seven others."""
    members = [enrol("trainer") for _ in range(8)]
    given = {"bounds": ROUND, "members": [member.id for member in members]}
    with running_job(plane, guard, tmp_path / "a", state, **given) as job:  # type: ignore[arg-type]
        with HttpClient(members[0], job.url) as client:
            yield client, open_round(client), members[0]
        job.stop()


def test_a_device_has_the_same_digest_of_masked_values_as_the_guard() -> None:
    session, masked = Session("round-1/0", 3), Masked(b"\x01" * 12)
    assert masking.masked_digest(session, masked) == summing.masked_digest(session, masked)


@pytest.mark.parametrize(
    "change",
    [
        {"session": "round-2/0"},
        {"length": 9},
        {"fewest": 2},
        {"colluding": 0.0},
        {"privacy_bits": 20.0},
        {"members": ["dev-b", "dev-c", "dev-d"]},
        {"members": ["dev-b", "dev-a", "dev-a"]},
    ],
)
def test_a_device_takes_part_in_no_sum_that_hides_less_than_it_asks_for(change: dict[str, Any]) -> None:
    group = ["dev-a", "dev-b", "dev-c"]
    offer = masking.Offer.of(Session("round-1/0", 11), group, 1.0)
    assert offer.agreed("dev-a", "round-1", 10, Tolerance()) == Session("round-1/0", 11)
    changed = masking.Offer.model_validate({**offer.model_dump(), **change})
    with pytest.raises(Aborted) as refused:
        changed.agreed("dev-a", "round-1", 10, Tolerance())
    assert refused.value.cause == "unlike_session"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"{" * 9])
def test_what_is_no_offer_is_refused(raw: bytes) -> None:
    with pytest.raises(Aborted, match="describes no sum"):
        masking.Offer.read(raw)


def test_a_file_becomes_the_words_that_the_guard_reads_whatever_its_types(tmp_path: Path) -> None:
    source = torch.Generator().manual_seed(3)
    types = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    update = {f"part-{n}": torch.randn(5, 3, generator=source).to(kind) for n, kind in enumerate(types)}
    save_file(update, tmp_path / "update")
    stored, group = read_stored(tmp_path / "update"), ["dev-a", "dev-b", "dev-c"]
    ours = masking._words(tmp_path / "update", stored, Scale(1.0, len(group)))
    guards = summing.encode(update, Manifest.of(update), group, summing.Bounds())
    assert ours.tobytes() == guards.tobytes()


def test_a_device_sums_without_torch() -> None:
    program = "import sys; sys.modules.update(torch=None, safetensors=None); import adapters.http.adding"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
