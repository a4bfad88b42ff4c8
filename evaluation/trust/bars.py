"""What is promised of every cell, and whether it holds."""

from dataclasses import dataclass

from evaluation.trust.measures import measures
from evaluation.trust.results import Guarded, Unguarded

LEAST_TRUE_POSITIVE_RATE = 0.97
MOST_FALSE_POSITIVE_RATE = 0.026
MOST_ROUNDS = 3
MOST_ATTACK_SUCCESS = 0.02
MOST_POINTS_LOST = {0.5: 1.0, 0.1: 4.0}
"""Points of accuracy below the clean federation's, by skew."""


@dataclass(frozen=True)
class Bars:
    """What held of a cell.

    Attributes:
        true_positive_rate: at least 0.97; holds where nobody attacks.
        false_positive_rate: at most 0.026.
        rounds: every attacker was quarantined within three rounds of its onset.
        attack_success: of the final model, at most 2 %.
        accuracy: of the final model, not too far below that of the clean federation.
    """

    true_positive_rate: bool
    false_positive_rate: bool
    rounds: bool
    attack_success: bool
    accuracy: bool

    @property
    def hold(self) -> bool:
        """Whether all do."""
        return all((self.true_positive_rate, self.false_positive_rate, self.rounds, self.attack_success, self.accuracy))


def bars(guarded: Guarded, clean: Unguarded) -> Bars:
    """Which bars a cell reached.

    Args:
        guarded: of the cell.
        clean: the federation of the same skew and seed in which nobody attacks and nobody judges.
    """
    found = measures(guarded.sightings)
    rounds = found.rounds_to_quarantine.values()
    return Bars(
        true_positive_rate=found.true_positive_rate is None or found.true_positive_rate >= LEAST_TRUE_POSITIVE_RATE,
        false_positive_rate=found.false_positive_rate <= MOST_FALSE_POSITIVE_RATE,
        rounds=all(taken is not None and taken <= MOST_ROUNDS for taken in rounds),
        attack_success=guarded.attack_success <= MOST_ATTACK_SUCCESS,
        accuracy=points_lost(clean.accuracy, guarded.accuracy) <= points_allowed(guarded.cell.skew),
    )


def points_lost(clean: float, accuracy: float) -> float:
    """Percentage points between two accuracies, to a tenth."""
    return round(100.0 * (clean - accuracy), 1)


def points_allowed(skew: float) -> float:
    """How many a cell may lose; of the skew that is nearest to one that a bar is set for."""
    return MOST_POINTS_LOST[min(MOST_POINTS_LOST, key=lambda known: abs(known - skew))]
