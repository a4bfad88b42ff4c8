"""Until when is forgotten: what a wall clock says, but never much faster than time passes.

A wall clock that jumps ahead and is put right again would have everything forgotten too early that goes by it: which
capabilities were used, which are void, and what was decided. None of that can be had back.
"""

import time
from collections.abc import Callable

FASTEST = 1.2
"""How much faster than time passes a wall clock is followed that is ahead. A capability lives for 300 s, in which this
is 360 s: its use, which is kept for 60 s longer, outlives it."""


class Steady:
    """Moments that never advance faster than `FASTEST` seconds a second.

    The first is taken as it is: a process that starts while the wall clock is wrong cannot know.

    Args:
        ticks: seconds that only go forward.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._last: tuple[float, float] | None = None

    def follow(self, moment: float) -> float:
        """Return a moment (Unix seconds), or the latest one that can have come since the last."""
        at = self._ticks()
        if self._last is not None:
            last, then = self._last
            moment = min(moment, last + FASTEST * (at - then))
        self._last = moment, at
        return moment
