"""A row of the matrix: one cell's three federations side by side, and what held."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from evaluation.trust.bars import Bars, bars, points_lost
from evaluation.trust.measures import Measures, measures
from evaluation.trust.results import Cell, Guarded, Unguarded
from evaluation.trust.running import Matrix
from evaluation.trust.scenarios import BY_NAME, CLEAN, Scenario


@dataclass(frozen=True)
class Row:
    """All that was found out about a cell.

    Attributes:
        clean: the federation of its skew and seed without attack and without guard.
        unguarded: under attack, without guard.
        guarded: under attack, on guard.
    """

    clean: Unguarded
    unguarded: Unguarded
    guarded: Guarded

    @property
    def cell(self) -> Cell:
        """Which one."""
        return self.guarded.cell

    @property
    def scenario(self) -> Scenario | None:
        """What attackers do; none where there are none."""
        return BY_NAME.get(self.cell.scenario)

    @property
    def title(self) -> str:
        """The scenario's, for tables."""
        return self.scenario.title if self.scenario else "nobody attacks"

    @property
    def measured(self) -> Measures:
        """How well attackers and honest devices were told apart."""
        return measures(self.guarded.sightings)

    @property
    def bars(self) -> Bars:
        """What held."""
        return bars(self.guarded, self.clean)

    @property
    def harm(self) -> float:
        """Points of accuracy that the attack costs without guard."""
        return points_lost(self.clean.accuracy, self.unguarded.accuracy)

    @property
    def peak_attack_success(self) -> float:
        """The highest of any model on guard, those that were rolled back among them."""
        return max(self.guarded.attack_successes)

    @property
    def rightly_named(self) -> int:
        """Attackers that the verdict which quarantined them called rightly."""
        return self.measured.rightly_named(self.scenario.named) if self.scenario else 0

    def to_json(self) -> dict[str, Any]:
        """The figures as one JSON object."""
        found = self.measured
        return {
            **self.cell.model_dump(),
            "clean_accuracy": round(self.clean.accuracy, 4),
            "unguarded_accuracy": round(self.unguarded.accuracy, 4),
            "guarded_accuracy": round(self.guarded.accuracy, 4),
            "unguarded_asr": round(self.unguarded.attack_success, 4),
            "guarded_peak_asr": round(self.peak_attack_success, 4),
            "guarded_asr": round(self.guarded.attack_success, 4),
            "true_positive_rate": None if found.true_positive_rate is None else round(found.true_positive_rate, 4),
            "false_positive_rate": round(found.false_positive_rate, 4),
            "attackers": len(found.rounds_to_quarantine),
            "attackers_caught": found.caught,
            "rounds_to_quarantine": dict(found.rounds_to_quarantine),
            "honest_quarantined": dict(found.honest_quarantined),
            "named": dict(found.named),
            "rightly_named": self.rightly_named,
            "rollbacks": self.guarded.rollbacks,
            "bars": {name: getattr(self.bars, name) for name in vars(self.bars)},
            "holds": self.bars.hold,
        }


def rows(matrix: Matrix, cells: Iterable[Cell]) -> list[Row]:
    """The rows of those cells of which all is known."""
    found = []
    for cell in cells:
        clean = matrix.unguarded.find(cell.model_copy(update={"scenario": CLEAN}))
        unguarded, guarded = matrix.unguarded.find(cell), matrix.guarded.find(cell)
        if clean is not None and unguarded is not None and guarded is not None:
            found.append(Row(clean, unguarded, guarded))
    return found
