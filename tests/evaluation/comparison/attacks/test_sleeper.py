import pytest
import torch

from evaluation.comparison.attacks.sleeper import Rhythm, Sleeper
from evaluation.smart_home.attacks import Knowledge, LabelFlip, SignFlip
from evaluation.smart_home.attacks.vectors import flat
from tests.evaluation.smart_home.attacks.samples import SHARD, UPDATE


@pytest.mark.parametrize(
    ("rhythm", "rounds"),
    [
        (Rhythm(), [1, 2, 3, 4, 5, 6, 7, 8]),
        (Rhythm(6), [6, 7, 8]),
        (Rhythm(1, 1), [1, 3, 5, 7]),
        (Rhythm(3, 2), [3, 4, 7, 8]),
    ],
)
def test_it_attacks_for_a_period_and_rests_for_one_from_its_onset_on(rhythm: Rhythm, rounds: list[int]) -> None:
    sleeper = Sleeper(SignFlip(2.0), rhythm)
    for turn in range(1, 9):
        wanted = -2.0 * flat(UPDATE) if turn in rounds else flat(UPDATE)
        assert torch.equal(flat(sleeper.distort(UPDATE, Knowledge(turn=turn))), wanted)
        assert rhythm.acts(turn) == (turn in rounds)


def test_it_trains_on_what_the_other_attack_does() -> None:
    assert Sleeper(LabelFlip(3), Rhythm()).poison(SHARD) == LabelFlip(3).poison(SHARD)
