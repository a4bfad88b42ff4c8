"""How far a matrix is, a line for each federation, with the time that is left."""

import time
from collections.abc import Callable
from typing import TextIO

from evaluation.trust.results import Result


class Progress:
    """Tells of each result.

    Args:
        count: federations to run.
        to: where.
        clock: seconds, never stepping back.
    """

    def __init__(self, count: int, to: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._count, self._to, self._clock = count, to, clock
        self._done = 0
        self._began = clock()

    def told(self, result: Result) -> None:
        """A federation ended."""
        self._done += 1
        left = (self._clock() - self._began) / self._done * (self._count - self._done)
        kind = type(result).__name__.lower()
        print(
            f"{self._done} of {self._count}, about {_minutes(left)} left: {kind}, {result.cell}: "
            f"accuracy {result.accuracy:.3f}, attack success {result.attack_success:.3f}",
            file=self._to,
            flush=True,
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
