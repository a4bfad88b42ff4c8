"""Rounds through a real broker: a real control plane, a real keeper, members in threads."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from adapters.guard import Member
from tests.adapters.http.jobs import honest, mean_of, sending
from tests.adapters.mqtt.jobs import QUICK, Kept, Wire, running_job, taking_part
from tests.support import ControlPlane, running, wait_until


@pytest.fixture
def members(enrol: Callable[..., Member]) -> list[Member]:
    return [enrol("trainer") for _ in range(5)]


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One of its own: whoever others have enrolled would be found by a search too."""
    with running() as found:
        yield found


@pytest.fixture
def wire(kept: Kept) -> Iterator[Wire]:
    found = Wire(kept.broker.address)
    yield found
    found.close()


def test_two_rounds_move_the_state_by_the_mean_of_the_updates(
    plane: ControlPlane, kept: Kept, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    with running_job(plane, kept, tmp_path / "a", state, None, rounds=2) as job:
        # Nobody is listed: whoever policy allows is found by a search, and announces itself.
        with taking_part([kept.member(member) for member in members], tmp_path) as sent:
            ended = job.result(90)
        assert sent == [2] * 5
    once = mean_of(state, [0, 1, 2, 3, 4])
    twice = mean_of(once, [10, 11, 12, 13, 14])
    torch.testing.assert_close(ended.state["weight"], twice["weight"])
    assert int(ended.state["steps"]) == 3
    assert [report.accepted for report in ended.rounds] == [5, 5]
    torch.testing.assert_close(load_file(tmp_path / "a" / "job" / "weights-2.safetensors")["weight"], twice["weight"])


def test_devices_that_rotate_before_a_job_and_within_it_go_on(
    plane: ControlPlane, kept: Kept, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    members[0].rotate_key()

    def rotating(weights: Path, update: Path, now: Any) -> int:
        members[1].rotate_key()
        return honest(1)(weights, update, now)

    with (
        running_job(plane, kept, tmp_path / "a", state, members, rounds=2) as job,
        taking_part([kept.member(member) for member in members], tmp_path, {1: rotating}) as sent,
    ):
        ended = job.result(90)
    assert sent == [2] * 5
    assert [report.accepted for report in ended.rounds] == [5, 5]


def test_an_attacker_has_no_part_and_whoever_is_away_costs_the_round_its_time(
    plane: ControlPlane, kept: Kept, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    trains = {0: sending(lambda update: {name: -10 * tensor for name, tensor in update.items()})}
    bounds = replace(QUICK, least_members=4, round_seconds=8.0)
    with (
        running_job(plane, kept, tmp_path / "a", state, members, bounds=bounds) as job,
        taking_part([kept.member(member) for member in members[:4]], tmp_path, trains),
    ):
        ended = job.result()
    torch.testing.assert_close(ended.state["weight"], mean_of(state, [1, 2, 3])["weight"])
    assert (members[4].id, "absent") in {(drop.subject, drop.cause) for drop in ended.rounds[0].drops}


def test_a_connection_that_is_lost_while_a_device_trains_comes_back(
    plane: ControlPlane, kept: Kept, members: list[Member], state: dict[str, Tensor], tmp_path: Path, wire: Wire
) -> None:
    clients = [kept.member(member, wire.address if number == 0 else None) for number, member in enumerate(members)]

    def train(*given: Any) -> int:
        wire.is_open = False
        wire.cut()
        wait_until(lambda: not clients[0].link.is_connected, 10)
        threading.Timer(1.0, setattr, (wire, "is_open", True)).start()
        return honest(0)(*given)

    with (
        running_job(plane, kept, tmp_path / "a", state, members) as job,
        taking_part(clients, tmp_path, {0: train}) as sent,
    ):
        ended = job.result()
    assert ended.rounds[0].accepted == 5, ended.rounds[0].drops
    assert sent[0] == 1
    assert clients[0].link.connections >= 2


def test_an_update_that_is_sent_again_because_its_answer_was_lost_counts_once(
    plane: ControlPlane, kept: Kept, members: list[Member], state: dict[str, Tensor], tmp_path: Path, wire: Wire
) -> None:
    clients = [kept.member(member, wire.address if number == 0 else None) for number, member in enumerate(members)]
    trained = threading.Barrier(len(members))

    def train(*given: Any) -> int:
        # Whatever is taken from here on is the update: all have asked for what they need to train.
        trained.wait(30)
        # From here on nothing that the broker says arrives: neither that it has the update, nor the answer.
        wire.answers = False
        before = job.counts["taken"]
        threading.Thread(target=mend, args=(before,)).start()
        return honest(0)(*given)

    def mend(before: int) -> None:
        wait_until(lambda: job.counts["taken"] > before, 35)
        wire.cut()
        wire.answers = True

    def last(*given: Any) -> int:
        trained.wait(30)
        wait_until(lambda: job.counts["redelivered"] > 0, 30)
        return honest(1)(*given)

    with (
        running_job(plane, kept, tmp_path / "a", state, members) as job,
        taking_part(clients, tmp_path, {0: train, 1: last, **{n: _after(job, n, trained) for n in (2, 3, 4)}}) as sent,
    ):
        ended = job.result()
    assert job.counts["redelivered"] >= 1
    assert ended.rounds[0].accepted == 5, ended.rounds[0].drops
    assert ended.rounds[0].drops == ()
    assert sent == [1] * 5
    torch.testing.assert_close(ended.state["weight"], mean_of(state, [0, 1, 2, 3, 4])["weight"])


def _after(job: Any, number: int, trained: threading.Barrier) -> Callable[..., int]:
    """Train once the first member's update was sent again."""

    def train(*given: Any) -> int:
        trained.wait(30)
        wait_until(lambda: job.counts["redelivered"] > 0, 30)
        return honest(number)(*given)

    return train


def test_a_round_survives_the_brokers_restart(
    plane: ControlPlane, kept: Kept, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    restarted = threading.Event()

    def train(*given: Any) -> int:
        kept.broker.process.stop()
        kept.broker.process.start()
        restarted.set()
        return honest(0)(*given)

    def later(number: int) -> Callable[..., int]:
        def trained(*given: Any) -> int:
            assert restarted.wait(30)
            return honest(number)(*given)

        return trained

    clients = [kept.member(member) for member in members]
    with (
        running_job(plane, kept, tmp_path / "a", state, members) as job,
        taking_part(clients, tmp_path, {0: train, **{n: later(n) for n in (1, 2, 3, 4)}}) as sent,
    ):
        ended = job.result()
    assert ended.rounds[0].accepted == 5, ended.rounds[0].drops
    assert sent == [1] * 5
