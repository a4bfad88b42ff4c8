"""What a cell found out, as it is kept on disk."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from controlplane.contracts.base import StrictModel
from evaluation.comparison.cells import Cell


class Sighting(StrictModel):
    """What became of one device in one round.

    Attributes:
        turn: the round, from 1.
        device: which.
        is_attacking: it is hostile, and behaves as such in this round.
        refused: nothing of its update went into the model.
        quarantined: it stands apart after the round.
        suspected: how hostile it looked, the larger the more; none where the defence did not say.
        named: the attack that the defence says it makes; none where it does not say.
    """

    turn: int
    device: int
    is_attacking: bool = False
    refused: bool = False
    quarantined: bool = False
    suspected: float | None = None
    named: str | None = None


class Result(StrictModel):
    """A federation's outcome.

    Attributes:
        cell: which.
        revision: of the code and policies that it was found with.
        accuracy: of the final model, share of test examples.
        attack_success: of the final model, share of triggered test examples.
        worst_client: of the final model, the least accuracy over devices' own test examples.
        peak_attack_success: the highest of the models that were judged; those before a rollback are.
        undone: rounds that were done again without somebody, all together.
        bytes_a_round: that devices sent, on average, as plain float32.
        updates_a_round: that they sent, on average.
        aggregation_ms: that the defence took for a round, the median, on the wall clock.
        decisions_a_round: that its control plane gave, on average; 0 where it has none.
        decision_ms: from gathered facts to a recorded decision, the mean, by the control plane's own clock; none where
            there is no control plane.
        defence_cpu_seconds: processor time that the defence took, its child processes among it.
        cpu_seconds: of all of it.
        wall_seconds: of all of it.
        sightings: every device in every round.
    """

    cell: Cell
    revision: str
    accuracy: float
    attack_success: float
    worst_client: float
    peak_attack_success: float
    undone: int = 0
    bytes_a_round: float
    updates_a_round: float
    aggregation_ms: float
    decisions_a_round: float = 0.0
    decision_ms: float | None = None
    defence_cpu_seconds: float
    cpu_seconds: float
    wall_seconds: float
    sightings: list[Sighting]


class Shelf:
    """A folder of results, one file a cell. What was found with other code or policies is as if it were not there.

    Args:
        folder: made as needed.
        revision: that counts, of a cell.
    """

    def __init__(self, folder: Path, revision: Callable[[Cell], str]) -> None:
        self._folder = folder
        self._revision = revision

    def find(self, cell: Cell) -> Result | None:
        """The result of a cell; none where there is none that counts."""
        try:
            found = Result.model_validate_json(self._file(cell).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValidationError):
            return None
        return found if found.cell == cell and found.revision == self._revision(cell) else None

    def found(self, cells: Iterable[Cell]) -> dict[Cell, Result]:
        """The results that there are of some cells."""
        results = ((cell, self.find(cell)) for cell in cells)
        return {cell: result for cell, result in results if result is not None}

    def keep(self, result: Result) -> None:
        """Write a result; whoever reads at the same time sees all of it or what was there before.

        Raises:
            OSError: it cannot be written.
        """
        file = self._file(result.cell)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(result.model_dump_json(exclude_defaults=True), encoding="utf-8")
        partial.replace(file)

    def _file(self, cell: Cell) -> Path:
        return self._folder / f"{cell.stem}.json"
