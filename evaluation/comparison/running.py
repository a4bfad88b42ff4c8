"""Run the federations that nobody has run yet, in a few processes; what was run stays when that is interrupted."""

import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from math import ceil
from pathlib import Path
from queue import Empty
from typing import Any

import torch

from adapters.errors import ControlPlaneError
from controlplane.sidecar.parent import die_with_parent
from evaluation.comparison.catalogue import Catalogue, Catalogued
from evaluation.comparison.cells import PLAIN, Cell
from evaluation.comparison.federation import federate
from evaluation.comparison.results import Result, Shelf
from evaluation.comparison.system import Unjudged
from evaluation.demo.environment import quieten
from evaluation.demo.plane import PlaneFailed
from evaluation.trust.revision import revision

POLL_SECONDS = 0.5

TRAINING = (
    "evaluation/activity",
    "evaluation/comparison/attacks",
    "evaluation/comparison/clients.py",
    "evaluation/comparison/fleet.py",
    "evaluation/comparison/federation.py",
    "evaluation/comparison/interfaces.py",
    "evaluation/comparison/tasks.py",
    "evaluation/federation",
    "evaluation/smart_home",
)
"""What every result depends on."""


FAULTS = (ControlPlaneError, PlaneFailed, Unjudged)
"""Of a control plane that had too little of a busy machine, as a rule: the cell is run once more."""


@dataclass(frozen=True)
class Failed:
    """A cell that could not be run.

    Attributes:
        cell: which.
        fault: why, in words.
    """

    cell: Cell
    fault: str


@dataclass(frozen=True)
class Comparison:
    """Where results are, and how cells become results.

    Attributes:
        folder: of results, and of what takes long to make.
        size: ``quick`` or ``full``.
        catalogued: makes what is compared; workers make it anew.
    """

    folder: Path
    size: str
    catalogued: Catalogued
    _revisions: dict[str, str] = field(default_factory=dict, compare=False)

    @cached_property
    def catalogue(self) -> Catalogue:
        """What is compared, made once in this process."""
        return self.catalogued()

    @property
    def shelf(self) -> Shelf:
        """Where results are."""
        return Shelf(self.folder / self.size, self.revision)

    def revision(self, cell: Cell) -> str:
        """Of the code and policies that a cell's result depends on."""
        if cell.defence not in self._revisions:
            shield = self.catalogue.defences[cell.defence]
            self._revisions[cell.defence] = revision((*TRAINING, *shield.depends), (self.size, shield.also))
        return self._revisions[cell.defence]

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells that there are no results of."""
        shelf = self.shelf
        return [cell for cell in cells if shelf.find(cell) is None]

    def run(self, cells: Sequence[Cell], processes: int, on_result: Callable[[Result | Failed], None]) -> None:
        """Run federations and keep their results.

        Those of one task, skew and seed share what honest devices train, so they stay together as far as there are
        enough of them for all processes.

        Args:
            cells: to run.
            processes: how many at the same time, one core each.
            on_result: told each result when it is there, on the shelf, and each cell whose control plane did not do
                its part, twice.

        Raises:
            KeyboardInterrupt: what was run by then is kept.
            Exception: whatever kept one of them from running; the others of its process are not run then.
        """
        context = multiprocessing.get_context("spawn")
        told: Any = context.Queue()
        bare = self._bare(cells)
        others = set(multiprocessing.active_children())
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(told,)) as pool:
            try:
                working = [pool.submit(_work, bare, share) for share in shares(cells, processes)]
                while not all(one.done() for one in working) or not told.empty():
                    try:
                        on_result(told.get(timeout=POLL_SECONDS))
                    except Empty:
                        if any(one.done() and one.exception() for one in working):
                            break
                for one in working:
                    if one.done():
                        one.result()
            except BaseException:
                # Whoever interrupts does not want to wait for federations that have only begun.
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in set(multiprocessing.active_children()) - others:
                    worker.terminate()
                raise

    def find(self, cell: Cell) -> Result:
        """Run a cell's federation and keep the result."""
        learning = self.catalogue.tasks[cell.task](cell, self.size, self.folder / "made")
        shield = self.catalogue.defences[cell.defence]
        opened = shield.opens(cell, learning)
        result = federate(cell, learning, opened, self.revision(cell), with_reference=shield.wants_reference)
        self.shelf.keep(result)
        return result

    def _bare(self, cells: Iterable[Cell]) -> "Comparison":
        # Revisions as they were when it began: what is edited meanwhile is not what workers have imported.
        for cell in cells:
            self.revision(cell)
        return Comparison(self.folder, self.size, self.catalogued, dict(self._revisions))


def shares(cells: Sequence[Cell], processes: int) -> list[list[Cell]]:
    """Cells in shares of one task, skew and seed each; at least as many as processes where there are enough cells.

    Each begins with plain averaging, which all else is held against.
    """
    ordered = sorted(cells, key=lambda cell: (cell.field, cell.defence != PLAIN))
    fields = [list(found) for _, found in groupby(ordered, key=lambda cell: cell.field)]
    parts = ceil(processes / len(fields)) if fields else 1
    return [part for found in fields for part in _split(found, parts)]


def _split(cells: list[Cell], parts: int) -> list[list[Cell]]:
    size = ceil(len(cells) / parts)
    return [cells[start : start + size] for start in range(0, len(cells), size)]


_TOLD: list[Any] = []
"""Of a worker process: the queue to its parent."""

_ENDING: list[bool] = []
"""Of a worker process: whether it is asked to end. The pool takes what that raises for the result of one share."""


def _begin(told: Any) -> None:
    # A comparison that is killed leaves nobody who goes on; one that is interrupted stops its workers itself, which
    # end in order, so that their control planes do too.
    die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    quieten()
    logging.getLogger("ztfm").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    _TOLD.append(told)


def _end(_number: int, _frame: object) -> None:
    _ENDING.append(True)
    raise SystemExit(0)


def _work(comparison: Comparison, cells: Sequence[Cell]) -> None:
    for cell in cells:
        if _ENDING:
            return
        _TOLD[-1].put(_found(comparison, cell))


def _found(comparison: Comparison, cell: Cell) -> Result | Failed:
    try:
        return comparison.find(cell)
    except FAULTS:
        # Once more, with everybody enrolled anew; what fails twice is told, and the others go on.
        try:
            return comparison.find(cell)
        except FAULTS as error:
            return Failed(cell, f"{type(error).__name__}: {error}")
