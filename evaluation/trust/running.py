"""Run the federations of a matrix that nobody has run yet, in a few processes."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from pathlib import Path
from queue import Empty
from typing import Any, Literal

import torch

from controlplane.sidecar.parent import die_with_parent
from evaluation.demo.environment import quieten
from evaluation.federation.plan import Plan
from evaluation.trust.fields import Field
from evaluation.trust.guarded import run_guarded
from evaluation.trust.results import Cell, Guarded, Result, Shelf, Unguarded
from evaluation.trust.revision import JUDGING, TRAINING, revision
from evaluation.trust.unguarded import run_unguarded

POLL_SECONDS = 1.0

Kind = Literal["unguarded", "guarded"]
KINDS: tuple[Kind, ...] = ("unguarded", "guarded")

Unit = tuple[Cell, Kind]
"""A federation of a cell."""


@dataclass(frozen=True)
class Matrix:
    """Where the results of a matrix are, and what they are results of.

    Attributes:
        folder: of results, and of what the frozen encoder yields.
        plan: how federations train.
        training: revision of the code that trains and attacks.
        judging: revision of the code and policies that judge, and of what they judge.
    """

    folder: Path
    plan: Plan
    training: str
    judging: str

    @classmethod
    def here(cls, folder: Path, plan: Plan) -> "Matrix":
        """The matrix of this code and these policies."""
        training, judging = revision(TRAINING, plan), revision((*TRAINING, *JUDGING), plan)
        return cls(folder, plan, training, judging)

    @property
    def unguarded(self) -> Shelf[Unguarded]:
        """Of federations with nobody on guard."""
        return Shelf(self.folder, Unguarded, self.training)

    @property
    def guarded(self) -> Shelf[Guarded]:
        """Of federations on guard."""
        return Shelf(self.folder, Guarded, self.judging)

    def missing(self, cells: Iterable[Cell]) -> list[Unit]:
        """The federations of ``cells`` that there are no results of."""
        return [(cell, kind) for cell in cells for kind in KINDS if getattr(self, kind).find(cell) is None]

    def run(self, units: Sequence[Unit], processes: int, on_result: Callable[[Result], None]) -> None:
        """Run federations and keep their results.

        Those of one skew and seed share what they train, so they stay together as far as there are enough of them for
        all processes.

        Args:
            units: what to run.
            processes: how many at the same time, one core each.
            on_result: told each result when it is there.

        Raises:
            Exception: whatever kept one of them from running; the others of its process are not run then.
        """
        context = multiprocessing.get_context("spawn")
        told: Any = context.Queue()
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(told,)) as pool:
            working = [pool.submit(_work, self, share) for share in shares(units, processes)]
            while not all(one.done() for one in working) or not told.empty():
                try:
                    on_result(told.get(timeout=POLL_SECONDS))
                except Empty:
                    continue
            for one in working:
                one.result()

    def find(self, unit: Unit, field: Field) -> Result:
        """Run a federation on its field and keep the result."""
        cell, kind = unit
        if kind == "unguarded":
            unguarded = run_unguarded(field, cell, self.training)
            self.unguarded.keep(unguarded)
            return unguarded
        guarded = run_guarded(field, cell, self.judging)
        self.guarded.keep(guarded)
        return guarded


def shares(units: Sequence[Unit], processes: int) -> list[list[Unit]]:
    """Units in shares of one skew and seed each; at least as many shares as processes where there are enough units."""
    ordered = sorted(units, key=_field_of)
    fields = [list(found) for _, found in groupby(ordered, key=_field_of)]
    parts = ceil(processes / len(fields)) if fields else 1
    return [share for found in fields for share in _split(found, parts)]


def _field_of(unit: Unit) -> tuple[float, int]:
    return -unit[0].skew, unit[0].seed


def _split(units: list[Unit], parts: int) -> list[list[Unit]]:
    size = ceil(len(units) / parts)
    return [units[start : start + size] for start in range(0, len(units), size)]


_TOLD: list[Any] = []
"""Of a worker process: the queue to its parent."""


def _begin(told: Any) -> None:
    # A matrix that is killed leaves nobody who goes on.
    die_with_parent(signal.SIGTERM)
    quieten()
    torch.set_num_threads(1)
    _TOLD.append(told)


def _work(matrix: Matrix, units: Sequence[Unit]) -> None:
    cell = units[0][0]
    field = Field.prepared(cell.skew, cell.seed, matrix.plan, matrix.folder / "trunk")
    for unit in units:
        _TOLD[-1].put(matrix.find(unit, field))
