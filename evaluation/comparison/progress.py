"""How far a comparison is, a line for each federation, with the time that is left."""

import time
from collections.abc import Callable
from typing import TextIO

from evaluation.comparison.cells import Cell
from evaluation.comparison.results import Result


class Progress:
    """Tells of each result.

    Args:
        costs: processor seconds that all federations together are expected to take.
        count: of federations.
        to: where.
        clock: seconds, never stepping back.
    """

    def __init__(self, costs: float, count: int, to: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._costs, self._count, self._to, self._clock = costs, count, to, clock
        self._done, self._behind = 0, 0.0
        self._began = clock()

    def expected(self, processes: int) -> str:
        """How long all of it takes, before anything was run."""
        return minutes(self._costs / processes)

    def told(self, cell: Cell, cost: float, words: str) -> None:
        """A federation ended.

        Args:
            cell: whose.
            cost: that was expected of it.
            words: what came of it.
        """
        self._done += 1
        self._behind += cost
        spent = self._clock() - self._began
        left = spent * (self._costs - self._behind) / self._behind
        print(
            f"{self._done} of {self._count}, about {minutes(left)} left: {cell}: {words}",
            file=self._to,
            flush=True,
        )


def minutes(seconds: float) -> str:
    """A time as people say it."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(0.0, seconds):.0f} s"


def in_words(result: Result) -> str:
    """What came of a federation."""
    return f"accuracy {result.accuracy:.3f}, attack success {result.attack_success:.3f}, {result.wall_seconds:.1f} s"
