"""Rounds over HTTP from end to end: a real control plane, a real server, members in threads."""

import ssl
import time
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from adapters.guard import Guard, Member
from adapters.jobs.keeping import JobError
from controlplane.capabilities.channels import server_context
from controlplane.entry import authorities_of
from controlplane.serving_certificate import keep_certificate
from controlplane.settings import Settings
from tests.adapters.http.jobs import (
    QUICK,
    Enrol,
    honest,
    mean_of,
    running_job,
    sending,
    taking_part,
)
from tests.support import ControlPlane


@pytest.fixture
def members(enrol: Enrol) -> list[Member]:
    return [enrol("trainer") for _ in range(5)]


def test_two_rounds_move_the_state_by_the_mean_of_the_updates(
    plane: ControlPlane, guard: Guard, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    bounds = replace(QUICK, least_members=5)
    with running_job(plane, guard, tmp_path / "a", state, rounds=2, bounds=bounds) as job:
        with taking_part(members, job.url, tmp_path, {}) as sent:
            ended = job.result()
        assert sent == [2] * 5
    assert ended.is_finished
    once = mean_of(state, [0, 1, 2, 3, 4])
    twice = mean_of(once, [10, 11, 12, 13, 14])
    torch.testing.assert_close(ended.state["weight"], twice["weight"])
    assert int(ended.state["steps"]) == 3
    assert [report.accepted for report in ended.rounds] == [5, 5]
    kept = load_file(tmp_path / "a" / "job" / "weights-2.safetensors")
    torch.testing.assert_close(kept["weight"], twice["weight"])


def test_a_round_goes_over_tls_1_3_where_the_job_has_a_certificate_and_no_older_client_is_answered(
    plane: ControlPlane,
    guard: Guard,
    members: list[Member],
    state: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(state_dir=tmp_path, tls_own=True)
    keep_certificate(settings, authorities_of(settings), time.time())
    authority = tmp_path / "tls" / "authority.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    tls = server_context(tmp_path / "tls" / "server.pem", tmp_path / "tls" / "server-key.pem")
    bounds = replace(QUICK, least_members=5)
    with running_job(plane, guard, tmp_path / "a", state, bounds=bounds, tls=tls) as job:
        assert job.url.startswith("https://127.0.0.1:")
        older = ssl.create_default_context(cafile=str(authority))
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(OSError, match=r"SSL|reset"):
            urlopen(f"{job.url}/livez", timeout=10, context=older)
        with taking_part(members, job.url, tmp_path, {}) as sent:
            ended = job.result()
        assert sent == [1] * 5
    assert ended.rounds[0].accepted == 5


def test_an_attacker_and_a_broken_member_have_no_part_and_stop_nothing(
    plane: ControlPlane, guard: Guard, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    trains = {
        0: sending(lambda update: {name: -10 * tensor for name, tensor in update.items()}),
        1: sending(lambda update: {name: tensor * float("nan") for name, tensor in update.items()}, seed=1),
    }
    with (
        running_job(plane, guard, tmp_path / "b", state, bounds=replace(QUICK, least_members=5)) as job,
        taking_part(members, job.url, tmp_path, trains),
    ):
        ended = job.result()
    torch.testing.assert_close(ended.state["weight"], mean_of(state, [2, 3, 4])["weight"])
    assert ended.rounds[0].submitted == 5
    assert ended.rounds[0].accepted == 3


def test_a_job_that_was_stopped_goes_on_from_its_last_finished_round(
    plane: ControlPlane, guard: Guard, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    bounds = replace(QUICK, least_members=5)

    def stopping(weights: Path, update: Path, _round: object) -> int:
        if _round.document["finished"] == 1:  # type: ignore[attr-defined]
            job.stop()
        return honest(0)(weights, update, _round)  # type: ignore[arg-type]

    with (
        running_job(plane, guard, tmp_path / "a", state, rounds=3, bounds=bounds) as job,
        taking_part(members, job.url, tmp_path, {0: stopping}),
    ):
        ended = job.result()
    assert (ended.is_finished, ended.finished) == (False, 1)
    assert not list((tmp_path / "a" / "job" / "updates").iterdir())
    once = mean_of(state, [0, 1, 2, 3, 4])
    torch.testing.assert_close(ended.state["weight"], once["weight"])
    with (
        running_job(plane, guard, tmp_path / "a", state, rounds=2, bounds=bounds) as job,
        taking_part(members, job.url, tmp_path, {}),
    ):
        ended = job.result()
    assert (ended.is_finished, ended.finished, len(ended.rounds)) == (True, 2, 1)
    torch.testing.assert_close(ended.state["weight"], mean_of(once, [10, 11, 12, 13, 14])["weight"])


def test_whoever_does_not_send_costs_the_round_no_more_than_its_time(
    plane: ControlPlane, guard: Guard, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    fixed = [member.id for member in members]
    bounds = replace(QUICK, round_seconds=6.0)
    with (
        running_job(plane, guard, tmp_path / "a", state, members=fixed, bounds=bounds) as job,
        taking_part(members[:4], job.url, tmp_path, {}),
    ):
        ended = job.result()
    assert ended.rounds[0].accepted == 4
    assert [(drop.cause, drop.subject) for drop in ended.rounds[0].drops] == [("absent", members[4].id)]


def test_credentials_that_ran_out_are_asked_for_once_more(
    plane: ControlPlane, guard: Guard, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    class Forgetful(Guard):
        """Takes the first credentials of each device for stale ones."""

        def is_stale(self, credentials: object) -> bool:
            return True

    guard.__class__ = Forgetful
    shown: set[str] = set()
    rule = guard.gate

    def gate(sealed, submissions, **options):  # type: ignore[no-untyped-def]
        shown.update(one.credentials.capability for one in submissions)
        return rule(sealed, submissions, **options)

    guard.gate = gate  # type: ignore[method-assign]
    with (
        running_job(plane, guard, tmp_path / "a", state, bounds=replace(QUICK, least_members=5)) as job,
        taking_part(members, job.url, tmp_path, {}),
    ):
        ended = job.result()
    assert ended.rounds[0].accepted == 5
    assert len(shown) == 5


def test_a_folder_of_another_job_is_not_gone_on_with(
    plane: ControlPlane, guard: Guard, state: dict[str, Tensor], tmp_path: Path
) -> None:
    with running_job(plane, guard, tmp_path / "a", state) as job:
        with pytest.raises(JobError, match="in use"), running_job(plane, guard, tmp_path / "a", state):
            pass
        job.stop()
        job.result()
    (tmp_path / "a" / "initial.safetensors").unlink()
    other = {**state, "weight": state["weight"] + 1}
    with pytest.raises(JobError, match="other weights"), running_job(plane, guard, tmp_path / "a", other):
        pass
    (tmp_path / "a" / "initial.safetensors").unlink()
    kept = tmp_path / "a" / "job" / "weights-0.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1] + b"\x01")
    with pytest.raises(JobError, match="not what was kept"), running_job(plane, guard, tmp_path / "a", state):
        pass
