"""Homes with a policy of their own in a job over HTTP."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adapters.client import SyncControlPlane
from adapters.guard import Guard, Member
from adapters.http.client import Announced
from adapters.jobs.tensorfile import file_digest, file_norm, read_stored
from tests.adapters.http.jobs import QUICK, honest, mean_of, running_job, taking_part
from tests.adapters.site.houses import MODEL, built, house_of, outgoing, signed, vetoes
from tests.support import ControlPlane


@pytest.mark.minutes
def test_a_home_that_vetoes_is_left_out_of_each_round_and_stays_in_the_job(
    plane: ControlPlane,
    enrolled: Callable[..., Member],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    elsewhere = house_of(audiences={"another-aggregator": True})
    closed = enrolled(signed(built(tmp_path_factory.mktemp("house"), elsewhere)))
    members = [*(enrolled() for _ in range(5)), closed]
    aggregator = enrolled(role="aggregator")
    assert isinstance(aggregator.plane, SyncControlPlane)
    guard = Guard(aggregator.plane, audience="aggregator-1", model=MODEL, patience_seconds=0.5)
    state = {"weight": torch.ones(8, 4), "bias": torch.zeros(8)}
    bounds = replace(QUICK, least_members=6, round_seconds=8.0)
    with (
        running_job(plane, guard, tmp_path / "job", state, rounds=2, bounds=bounds) as job,
        taking_part(members, job.url, tmp_path, {}) as sent,
    ):
        ended = job.result()
    # It was there for both rounds, said no both times, and ended with the job: a veto is no reason to leave.
    assert [(report.members, report.pulled, report.accepted) for report in ended.rounds] == [(6, 5, 5)] * 2
    assert sent == [2, 2, 2, 2, 2, 0]
    once = mean_of(state, [0, 1, 2, 3, 4])
    torch.testing.assert_close(ended.state["weight"], mean_of(once, [10, 11, 12, 13, 14])["weight"])


def spending(member: Member, seed: int, measured: list[float | None]) -> Callable[[Path, Path, Announced], int]:
    """Return what trains and tells the site of its epsilon alone; ``measured`` has the norm of what it made."""

    def train(weights: Path, update: Path, now: Announced) -> int:
        examples = honest(seed)(weights, update, now)
        stored = read_stored(update)
        measured.append(file_norm(update, stored))
        member.describe(file_digest(update, stored), epsilon=1.0)
        return examples

    return train


@pytest.mark.minutes
def test_a_home_bounds_the_norm_of_what_it_sends_which_the_client_tells_it(
    plane: ControlPlane,
    enrolled: Callable[..., Member],
    policy: bytes,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    narrow = signed(built(tmp_path_factory.mktemp("house"), house_of(norm_maximum=0.1)))
    members = [*(enrolled() for _ in range(4)), enrolled(policy), enrolled(narrow)]
    aggregator = enrolled(role="aggregator")
    assert isinstance(aggregator.plane, SyncControlPlane)
    guard = Guard(aggregator.plane, audience="aggregator-1", model=MODEL, patience_seconds=0.5)
    state = {"weight": torch.ones(8, 4), "bias": torch.zeros(8)}
    bounds = replace(QUICK, least_members=6, round_seconds=8.0)
    measured: list[float | None] = []
    trains = {number: spending(members[number], number, measured) for number in (4, 5)}
    with (
        running_job(plane, guard, tmp_path / "job", state, bounds=bounds) as job,
        taking_part(members, job.url, tmp_path, trains) as sent,
    ):
        ended = job.result()
    assert sent == [1, 1, 1, 1, 1, 0]
    assert [report.accepted for report in ended.rounds] == [5]
    torch.testing.assert_close(ended.state["weight"], mean_of(state, [0, 1, 2, 3, 4])["weight"])
    ((outcome, reasons, update),) = outgoing(tmp_path / "member-5")
    assert (outcome, reasons) == ("veto", ["norm_exceeded"])
    assert update["norm"] in measured
    assert [said[0] for said in outgoing(tmp_path / "member-4")] == ["allow"]
    assert vetoes(plane, members[5].id) == [("site:update_out", ["site:norm_exceeded"])]
