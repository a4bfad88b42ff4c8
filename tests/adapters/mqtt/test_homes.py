"""Homes with a policy of their own in a job over MQTT."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adapters.guard import Member
from adapters.jobs.tensorfile import file_digest, read_stored
from adapters.mqtt.client import Announced
from tests.adapters.http.jobs import honest, mean_of
from tests.adapters.mqtt.jobs import QUICK, Kept, running_job, taking_part
from tests.adapters.site.houses import built, furnish, house_of, outgoing, signed, vetoes
from tests.support import SEGMENTS, ControlPlane

NORMS = {4: 1000.0, 5: 0.1}
"""What two of the homes let out at most."""


@pytest.fixture
def homes(plane: ControlPlane, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Member]:
    """Six homes, the last two of them with a policy."""
    found = []
    for number in range(6):
        folder = tmp_path / f"home-{number}"
        if number in NORMS:
            furnish(folder, signed(built(tmp_path_factory.mktemp("house"), house_of(norm_maximum=NORMS[number]))))
        found.append(Member.enrol(folder, plane.url, plane.token(["trainer"], SEGMENTS["trainer"])))
    return found


def spending(member: Member, seed: int) -> Callable[[Path, Path, Announced], int]:
    """Return what trains and tells the site of its epsilon alone."""

    def train(weights: Path, update: Path, now: Announced) -> int:
        examples = honest(seed)(weights, update, now)
        member.describe(file_digest(update, read_stored(update)), epsilon=1.0)
        return examples

    return train


@pytest.mark.minutes
def test_an_update_that_its_home_vetoes_stays_there_and_the_job_goes_on(
    plane: ControlPlane, kept: Kept, homes: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    trains = {number: spending(homes[number], number) for number in NORMS}
    bounds = replace(QUICK, least_members=6, round_seconds=10.0)
    with (
        running_job(plane, kept, tmp_path / "a", state, homes, rounds=2, bounds=bounds) as job,
        taking_part([kept.member(home) for home in homes], tmp_path, trains) as sent,
    ):
        ended = job.result(90)
    for home in homes:
        home.close()
    # It was there for both rounds, had the weights both times, and kept what it made of them.
    assert sent == [2, 2, 2, 2, 2, 0]
    assert [(report.pulled, report.accepted) for report in ended.rounds] == [(6, 5)] * 2
    once = mean_of(state, [0, 1, 2, 3, 4])
    torch.testing.assert_close(ended.state["weight"], mean_of(once, [10, 11, 12, 13, 14])["weight"])
    decided = outgoing(tmp_path / "home-5")
    assert [said[:2] for said in decided] == [("veto", ["norm_exceeded"])] * 2
    assert all(update["norm"] > NORMS[5] for _, _, update in decided)
    assert [said[0] for said in outgoing(tmp_path / "home-4")] == ["allow"] * 2
    assert vetoes(plane, homes[5].id) == [("site:update_out", ["site:norm_exceeded"])] * 2
