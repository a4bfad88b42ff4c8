"""What a cell of the matrix found out, as it is kept on disk."""

import os
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from controlplane.contracts.base import StrictModel
from controlplane.contracts.behaviour import Attack, BehaviourState

Found = TypeVar("Found", bound="Result")


class Cell(StrictModel):
    """One federation: who attacks how, on which data.

    Attributes:
        scenario: its name; ``none`` for nobody.
        skew: parameter of the Dirichlet distribution.
        seed: fixes the task, who is hostile, and training.
    """

    scenario: str
    skew: float
    seed: int

    def __str__(self) -> str:
        return f"{self.scenario}, skew {self.skew:g}, seed {self.seed}"


class Sighting(StrictModel):
    """What became of one device in one round.

    Attributes:
        turn: the round, from 1.
        device: which.
        is_attacking: it is hostile, and behaves as such in this round.
        accepted: its update went into the model.
        cause: why not; empty when it did.
        state: where it stands after the round.
        p_value: of its update; none where it sent none.
        attack: what the verdict calls it; none where it is unremarkable.
        sentence: the verdict's, for people.
    """

    turn: int
    device: int
    is_attacking: bool
    accepted: bool
    cause: str = ""
    state: BehaviourState | None = None
    p_value: float | None = None
    attack: Attack | None = None
    sentence: str = ""


class Result(StrictModel):
    """A federation's outcome.

    Attributes:
        cell: which.
        revision: of the code and policies that it was found with.
        seconds: that it took.
        accuracy: of the final model, share of test sentences.
        attack_success: of the final model, share of triggered test sentences.
    """

    cell: Cell
    revision: str
    seconds: float
    accuracy: float
    attack_success: float


class Unguarded(Result):
    """Of a federation that averages whatever comes."""


class Guarded(Result):
    """Of a federation whose updates are judged.

    Attributes:
        attack_successes: of the model after each round, before a rollback of that round.
        rollbacks: rounds after which the model was rebuilt without somebody.
        sightings: every device in every round.
    """

    attack_successes: list[float]
    rollbacks: list[int]
    sightings: list[Sighting]


class Shelf(Generic[Found]):
    """A folder of results, one file a cell. What was found with other code or policies is as if it were not there.

    Args:
        folder: made as needed.
        kind: of the results.
        revision: that counts.
    """

    def __init__(self, folder: Path, kind: type[Found], revision: str) -> None:
        self._folder = folder / kind.__name__.lower()
        self._kind = kind
        self._revision = revision

    def find(self, cell: Cell) -> Found | None:
        """The result of a cell; none where there is none that counts."""
        try:
            found = self._kind.model_validate_json(self._file(cell).read_text())
        except (FileNotFoundError, ValidationError):
            return None
        return found if found.cell == cell and found.revision == self._revision else None

    def keep(self, result: Found) -> None:
        """Write a result; whoever reads at the same time sees all of it or what was there before."""
        file = self._file(result.cell)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(result.model_dump_json(indent=1, exclude_defaults=True))
        partial.replace(file)

    def _file(self, cell: Cell) -> Path:
        return self._folder / f"{cell.scenario}-{cell.skew:g}-{cell.seed}.json"
