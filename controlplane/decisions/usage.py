"""How much each subject used lately: a sliding window over requests and tokens, bounded in memory."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What a subject used in the window before now."""

    requests: int
    tokens: int


@dataclass(slots=True)
class _Window:
    start: float
    requests: int = 0
    tokens: int = 0
    earlier_requests: int = 0
    earlier_tokens: int = 0


class UsageWindow:
    """Counts in the current window, and the overlapping share of the one before (a two-bucket sliding window).

    It reserves before the decision, so that concurrent requests cannot all see the same remainder. Counts
    are those of one process.
    """

    def __init__(self, clock: Callable[[], float], *, window_seconds: float = 60.0, capacity: int = 100_000) -> None:
        self.window_seconds = window_seconds
        self._clock = clock
        self._capacity = capacity
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def reserve(self, subject: str, tokens: int = 0) -> Usage:
        """Return what ``subject`` used before this request, and count this request and its tokens."""
        window = self._current(subject)
        used = self._used(window)
        window.requests += 1
        window.tokens += tokens
        return used

    def look(self, subject: str) -> Usage:
        """Return what ``subject`` used, and count nothing."""
        return self._used(self._current(subject)) if subject in self._windows else Usage(0, 0)

    def release(self, subject: str, tokens: int) -> None:
        """Give back tokens that were reserved and not granted."""
        window = self._windows.get(subject)
        if window is not None:
            window.tokens = max(0, window.tokens - tokens)

    def _used(self, window: _Window) -> Usage:
        overlap = 1.0 - (self._clock() - window.start) / self.window_seconds
        return Usage(
            window.requests + int(window.earlier_requests * overlap),
            window.tokens + int(window.earlier_tokens * overlap),
        )

    def _current(self, subject: str) -> _Window:
        now = self._clock()
        window = self._windows.get(subject)
        if window is None:
            while len(self._windows) >= self._capacity:
                self._windows.popitem(last=False)
            window = self._windows[subject] = _Window(now)
            return window
        self._windows.move_to_end(subject)
        elapsed = now - window.start
        if elapsed >= 2 * self.window_seconds:
            window.start, window.earlier_requests, window.earlier_tokens = now, 0, 0
            window.requests = window.tokens = 0
        elif elapsed >= self.window_seconds:
            window.start += self.window_seconds
            window.earlier_requests, window.earlier_tokens = window.requests, window.tokens
            window.requests = window.tokens = 0
        return window
