"""Whether a cell says anything: an attack that does no harm cannot be defended against."""

from collections.abc import Mapping

from evaluation.comparison.cells import Cell
from evaluation.comparison.results import Result

LEAST_POINTS = 5.0
LEAST_SUCCESS = 0.5


def points_lost(clean: float, accuracy: float) -> float:
    """Percentage points between two accuracies, to a tenth."""
    return round(100.0 * (clean - accuracy), 1)


def counts(cell: Cell, found: Mapping[Cell, Result]) -> bool | None:
    """Whether a cell counts; none where the plain federations that tell are not there.

    It does where plain averaging of the same task, attack, skew, share and seed loses five points of accuracy against
    the one without attack, or the attack succeeds at it at least half the time. Where nobody attacks, it always does.
    """
    if cell.is_clean:
        return True
    averaged, unharmed = found.get(cell.averaged), found.get(cell.unharmed)
    if averaged is None or unharmed is None:
        return None
    return points_lost(unharmed.accuracy, averaged.accuracy) >= LEAST_POINTS or averaged.attack_success >= LEAST_SUCCESS


def has_backdoor(cell: Cell, found: Mapping[Cell, Result]) -> bool:
    """Whether the attack of a cell makes plain averaging predict its class at least half the time."""
    averaged = found.get(cell.averaged)
    return not cell.is_clean and averaged is not None and averaged.attack_success >= LEAST_SUCCESS
