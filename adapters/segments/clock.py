"""The router's clock, held up to the control plane's: a slow one must not let grants live longer."""

from collections.abc import Callable

from adapters.feed import elapsed

SET_BACK_SECONDS = 600.0
"""By more than this a table is older than the time only where the control plane's clock was set back: none is that
late, and all that an earlier one granted has ended."""


class NeverBehind:
    """Unix seconds of a clock, but never less than the control plane's: what it said last, and the time since.

    So a clock that is slow, or that is set back meanwhile, lets no grant live longer. One that is ahead is left alone:
    grants end early by it, and never late.

    Args:
        clock: Unix seconds.
        timer: seconds, never stepping back, going on while the machine is suspended.
    """

    def __init__(self, clock: Callable[[], float], timer: Callable[[], float] = elapsed) -> None:
        self._clock = clock
        self._timer = timer
        self._told: tuple[float, float] | None = None

    def __call__(self) -> float:
        """Return the time, Unix seconds."""
        return max(self._clock(), self._at_least(self._timer()))

    def learn(self, made_at: float) -> None:
        """Take in when, by the control plane's clock, something was made that is here already."""
        at = self._timer()
        if not 0.0 <= self._at_least(at) - made_at <= SET_BACK_SECONDS:
            self._told = made_at, at

    def _at_least(self, at: float) -> float:
        """The control plane's time at ``at`` of the timer, as far as it was told."""
        return float("-inf") if self._told is None else self._told[0] + at - self._told[1]
