"""What is picked by trying is picked where no table shows it, and for what it is worth alone."""

from contextlib import AbstractContextManager
from itertools import product

import pytest

from evaluation.comparison.attacks.adaptive import PURSUING, UNDOING, Adaptive
from evaluation.comparison.attacks.registry import Scheme
from evaluation.comparison.attacks.setting import Setting
from evaluation.comparison.defences.tracer import Tracer
from evaluation.comparison.interfaces import Defence
from evaluation.comparison.planned import GRIDS
from evaluation.comparison.results import Result, Sighting
from evaluation.comparison.tuning import (
    BOOSTS,
    CAUTIONS,
    SEED,
    THRESHOLDS,
    TOLD_APART,
    Opens,
    Tried,
    best,
    of_adaptive,
    of_backdoor,
    of_tracer,
    told_apart,
)
from tests.evaluation.comparison.test_figures import result
from tests.evaluation.comparison.tiny import Pulling, cell

SETTING = Setting((3, 7), classes=5, target=1, seed=SEED)


def test_no_grid_has_the_seed() -> None:
    assert SEED not in {one.seed for grid in GRIDS.values() for one in grid.cells()}


def test_what_is_used_is_among_what_was_tried() -> None:
    assert Tracer().threshold in THRESHOLDS
    assert UNDOING.caution in CAUTIONS
    assert (PURSUING.caution, PURSUING.boost) in set(product(CAUTIONS, BOOSTS))


def test_of_equals_the_first_is_picked() -> None:
    found = [Tried({"a": 1.0}, 0.2), Tried({"a": 2.0}, 0.5), Tried({"a": 3.0}, 0.5)]
    assert best(found).settings == {"a": 2.0}
    with pytest.raises(ValueError):
        best([])


def test_a_tracker_that_accuses_everybody_tells_nobody_apart() -> None:
    def seen(is_refused: bool) -> tuple[Sighting, ...]:
        return tuple(Sighting(turn=4, device=d, is_attacking=d == 0, refused=is_refused or d == 0) for d in range(4))

    assert told_apart(result(cell(), 0.5, seen=seen(True))) == 0.0
    assert told_apart(result(cell(), 0.5, seen=seen(False))) == 1.0


class Runs:
    """Stands for federations: remembers what was asked for, and says how well it went."""

    def __init__(self) -> None:
        self.attackers: list[Adaptive] = []
        self.thresholds: list[float] = []
        self.asked: list[str] = []

    def __call__(self, scheme: Scheme, defence: str, opens: Opens) -> Result:
        self.asked.append(scheme.name)
        if defence == "fltracer":
            self.thresholds.append(self._threshold(opens(Pulling(cell()))))
            return result(cell(), 0.5)
        (attacker, *_) = {id(one): one for one in map(sending, scheme.made(SETTING).values())}.values()
        self.attackers.append(attacker)
        return result(cell(), 1.0 / attacker.caution, success=attacker.boost / 10.0)

    def _threshold(self, opened: AbstractContextManager[Defence]) -> float:
        with opened as defence:
            tracer = defence.rule  # type: ignore[attr-defined]
            assert isinstance(tracer, Tracer)
            return tracer.threshold


def sending(attack: object) -> Adaptive:
    found = getattr(attack, "sending", attack)
    assert isinstance(found, Adaptive)
    return found


def test_each_threshold_meets_every_attack_with_a_tracker_of_its_own() -> None:
    runs = Runs()
    assert [one.settings["threshold"] for one in of_tracer(runs)] == list(THRESHOLDS)
    assert runs.thresholds == [threshold for threshold in THRESHOLDS for _ in TOLD_APART]
    assert runs.asked == [*TOLD_APART] * len(THRESHOLDS)


def test_who_undoes_is_picked_by_the_answers_that_are_wrong() -> None:
    runs = Runs()
    found = best(of_adaptive(runs))
    assert (found.settings, found.worth) == ({"caution": 8.0}, 1.0 - 1.0 / 8.0)
    assert {(one.goal, one.seed) for one in runs.attackers} == {("undo", SEED + 1)}


def test_who_teaches_a_backdoor_is_picked_by_its_success() -> None:
    runs = Runs()
    found = best(of_backdoor(runs))
    assert (found.settings, found.worth) == ({"caution": 1.0, "boost": 6.0}, 0.6)
    assert {one.goal for one in runs.attackers} == {"own"}
    assert {(one.caution, one.boost) for one in runs.attackers} == set(product(CAUTIONS, BOOSTS))
