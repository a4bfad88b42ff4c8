"""How much each subject used lately: a sliding window over requests and tokens, bounded in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from controlplane.decisions.cells import Cell, Cells, OwnCells


@dataclass(frozen=True, slots=True)
class Usage:
    """What a subject used in the window before now."""

    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """What was counted of one request, and in which window.

    Attributes:
        subject: whose request it is.
        tokens: that were counted beside it.
        starts_at: of the window in which they were, Unix seconds.
        used: what the subject had used before.
    """

    subject: str
    tokens: int
    starts_at: float
    used: Usage


class UsageSource(Protocol):
    """Counts what subjects use: on one machine, or over all replicas (`sharing.windows`)."""

    window_seconds: float
    """Length of the window."""

    async def reserve(self, subject: str, tokens: int = 0) -> Reserved:
        """Count this request of ``subject`` and its tokens; return where, and what was used before.

        Raises:
            StoreUnavailable: who counts was not there to ask.
        """
        ...

    async def look(self, subject: str) -> Usage:
        """Return what ``subject`` used, and count nothing.

        Raises:
            StoreUnavailable: who counts was not there to ask.
        """
        ...

    def release(self, reserved: Reserved) -> None:
        """Give back, in the window where they were counted, tokens that were not granted."""
        ...


class MachineUsage:
    """A `UsageSource` of one machine, whose workers count in memory that they have together.

    Args:
        window: counts.
    """

    def __init__(self, window: "UsageWindow") -> None:
        self.window_seconds = window.window_seconds
        self._window = window

    async def reserve(self, subject: str, tokens: int = 0) -> Reserved:
        """Count this request of ``subject`` and its tokens; return where, and what was used before."""
        return self._window.reserve(subject, tokens)

    async def look(self, subject: str) -> Usage:
        """Return what ``subject`` used, and count nothing."""
        return self._window.look(subject)

    def release(self, reserved: Reserved) -> None:
        """Give back, in the window where they were counted, tokens that were not granted."""
        self._window.release(reserved)


class UsageWindow:
    """Counts in the current window, and the overlapping share of the one before (a two-bucket sliding window).

    It reserves before the decision, so that concurrent requests cannot all see the same remainder. Counts
    are those of the processes that share its cells.

    Args:
        clock: Unix seconds.
        window_seconds: length of the window.
        capacity: subjects that are kept at most.
        cells: where the counts are kept; none for this process's own.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        window_seconds: float = 60.0,
        capacity: int = 100_000,
        cells: Cells | None = None,
    ) -> None:
        self.window_seconds = window_seconds
        self._clock = clock
        self._cells = OwnCells(capacity) if cells is None else cells

    def reserve(self, subject: str, tokens: int = 0) -> Reserved:
        """Count this request of ``subject`` and its tokens; return where, and what was used before."""
        now = self._clock()

        def _reserve(cell: Cell | None) -> tuple[Reserved, Cell]:
            start, requests, used, *earlier = window = self._moved(cell, now)
            reserved = Reserved(subject, tokens, start, self._used(window, now))
            return reserved, (start, requests + 1, used + tokens, *earlier)

        return self._cells.change(subject, _reserve)

    def look(self, subject: str) -> Usage:
        """Return what ``subject`` used, and count nothing."""
        now, cell = self._clock(), self._cells.look(subject)
        return Usage(0, 0) if cell is None else self._used(self._moved(cell, now), now)

    def release(self, reserved: Reserved) -> None:
        """Give back tokens that were not granted, in the window where they were counted.

        Where that window is over they still count in part, and stop to. Where it is forgotten nothing is given back,
        nor where the clock was put back since: what is counted then belongs to no window that can be named.
        """
        if not reserved.tokens or self._cells.look(reserved.subject) is None:
            return

        def _release(cell: Cell | None) -> tuple[None, Cell]:
            start, requests, tokens, before, tokens_before = self._moved(cell, self._clock())
            if reserved.starts_at == start:
                tokens = max(0.0, tokens - reserved.tokens)
            elif reserved.starts_at + self.window_seconds == start:
                tokens_before = max(0.0, tokens_before - reserved.tokens)
            return None, (start, requests, tokens, before, tokens_before)

        self._cells.change(reserved.subject, _release)

    def _used(self, window: Cell, now: float) -> Usage:
        start, requests, tokens, earlier_requests, earlier_tokens = window
        overlap = 1.0 - (now - start) / self.window_seconds
        return Usage(int(requests) + int(earlier_requests * overlap), int(tokens) + int(earlier_tokens * overlap))

    def _moved(self, cell: Cell | None, now: float) -> Cell:
        """Return start, requests and tokens of the window that ``now`` lies in, then those of the one before."""
        if cell is None:
            return now, 0.0, 0.0, 0.0, 0.0
        start, requests, tokens, *earlier = cell
        elapsed = now - start
        if elapsed < 0.0:
            # A clock that steps back must not lock anybody out: what was counted counts on, for a window from now.
            return now, requests, tokens, *earlier
        if elapsed >= 2 * self.window_seconds:
            return now, 0.0, 0.0, 0.0, 0.0
        if elapsed >= self.window_seconds:
            return start + self.window_seconds, 0.0, 0.0, requests, tokens
        return cell
