"""Homes with a policy of their own in a job over HTTP."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adapters.client import SyncControlPlane
from adapters.guard import Guard, Member
from tests.adapters.http.jobs import QUICK, mean_of, running_job, taking_part
from tests.adapters.site.houses import MODEL, built, house_of, signed
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
