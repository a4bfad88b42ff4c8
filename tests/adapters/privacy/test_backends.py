"""Devices over HTTP add the noise that they owe, and so do their jobs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from adapters.guard import Guard, Member
from controlplane.contracts.privacy import Account
from tests.adapters.http.jobs import mean_of, running_job, taking_part
from tests.controlplane.api.noising import DATA_SET, noising
from tests.support import ControlPlane, running

pytest.importorskip("dp_accounting.pld", reason="dp-accounting 0.6: pip install 'ztfm[privacy]'")

SPREAD = 0.02
"""Standard deviation of the noise: it is seen, and screening sees through it."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    little: dict[str, Any] = {"clip_norm": 10.0, "noise_multiplier": SPREAD / 10.0}
    with running(policies=noising(tmp_path_factory.mktemp("local"), epsilon=1e6, **little)) as found:
        yield found


def charges(plane: ControlPlane, member: Member) -> int:
    return plane.run(plane.store.privacy.spent(Account("devices", member.id, DATA_SET))).charges


def test_devices_over_http_noise_their_files_and_leave_none_behind(
    plane: ControlPlane, guard: Guard, enrol: Callable[..., Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    members = [enrol("trainer") for _ in range(4)]
    with running_job(plane, guard, tmp_path / "a", state) as job:
        with taking_part(members, job.url, tmp_path, {}) as sent:
            ended = job.result()
        assert sent == [1] * 4
    assert ended.rounds[0].accepted == 4
    off = ended.state["weight"] - mean_of(state, [0, 1, 2, 3])["weight"]
    assert 0.0 < float(off.std()) < 3 * SPREAD / 4**0.5
    assert not list(tmp_path.rglob("*.noised"))
    assert [charges(plane, member) for member in members] == [1] * 4


@pytest.fixture(scope="module")
def summing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plan: dict[str, Any] = {"mode": "central", "clip_norm": 10.0, "noise_multiplier": 4 * SPREAD / 10.0}
    with running(policies=noising(tmp_path_factory.mktemp("central"), epsilon=1e6, **plan)) as found:
        yield found


def enrolled(plane: ControlPlane, folder: Path, role: str) -> Member:
    segment = "core" if role == "aggregator" else "homes"
    return Member.enrol(folder, plane.url, plane.token((role,), segment), roles=(role,), segment=segment)


def test_a_job_over_http_adds_the_noise_that_its_rounds_owe(
    summing: ControlPlane, state: dict[str, Tensor], tmp_path: Path
) -> None:
    with enrolled(summing, tmp_path / "aggregator", "aggregator") as aggregator:
        guard = Guard(aggregator.plane, audience="aggregator-1", model="smart-home-intents", patience_seconds=0.5)
        members = [enrolled(summing, tmp_path / f"party-{number}", "trainer") for number in range(4)]
        with (
            running_job(summing, guard, tmp_path / "a", state) as job,
            taking_part(members, job.url, tmp_path, {}),
        ):
            ended = job.result()
        assert ended.rounds[0].accepted == 4
        off = ended.state["weight"] - mean_of(state, [0, 1, 2, 3])["weight"]
        assert float(off.std()) == pytest.approx(SPREAD, rel=0.5)
        for member in members:
            member.close()
