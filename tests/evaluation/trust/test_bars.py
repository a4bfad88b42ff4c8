import pytest

from evaluation.trust.bars import bars, points_allowed, points_lost
from evaluation.trust.results import Guarded
from tests.evaluation.trust.samples import CELL, CLEAN, guarded, unguarded, watched

CLEAN_RUN = unguarded(CLEAN, accuracy=0.9, attack_success=0.0)


def test_a_cell_within_all_bars_holds() -> None:
    assert bars(guarded(accuracy=0.89, attack_success=0.02), CLEAN_RUN).hold


@pytest.mark.parametrize(
    ("worse", "missed"),
    [
        (guarded(accuracy=0.8889), "accuracy"),
        (guarded(attack_success=0.0201), "attack_success"),
        (guarded(sightings=watched(caught_in=4)), "rounds"),
        (guarded(sightings=watched(caught_in=None)), "rounds"),
        (guarded(sightings=watched(honest=4, wronged={0: 12})), "false_positive_rate"),
    ],
)
def test_a_cell_beyond_one_bar_misses_that_one_alone(worse: Guarded, missed: str) -> None:
    found = bars(worse, CLEAN_RUN)
    assert [name for name, holds in vars(found).items() if not holds] == [missed]
    assert not found.hold


def test_an_update_that_slips_through_is_below_the_true_positive_rate() -> None:
    sightings = [
        one.model_copy(update={"accepted": True}) if one.turn == 5 and one.device == 4 else one
        for one in watched(caught_in=None)
    ]
    assert not bars(guarded(sightings=sightings), CLEAN_RUN).true_positive_rate


def test_skewed_cells_may_lose_more() -> None:
    skewed = guarded(CELL.model_copy(update={"skew": 0.1}), accuracy=0.861)
    assert bars(skewed, CLEAN_RUN).accuracy
    assert [points_allowed(skew) for skew in (0.05, 0.1, 0.5, 10.0)] == [4.0, 4.0, 1.0, 1.0]


def test_points_are_counted_to_a_tenth() -> None:
    assert points_lost(0.9, 0.8904) == 1.0
    assert points_lost(0.8, 0.9) == -10.0
