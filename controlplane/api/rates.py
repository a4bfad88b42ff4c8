"""Token buckets, one per caller, bounded in number."""

from collections.abc import Callable
from typing import Protocol

from controlplane.decisions.cells import Cell, Cells, OwnCells


class Rate(Protocol):
    """Bounds how often each name may do something: on one machine, or over all replicas (`sharing.rates`)."""

    async def take(self, name: str) -> float:
        """Take one request; return 0 when it is admitted, else the seconds to wait.

        Raises:
            StoreUnavailable: who counts was not there to ask.
        """
        ...

    def wait(self, name: str) -> float:
        """Return the seconds until a request would be admitted, as far as is known, and take nothing."""
        ...

    async def charge(self, name: str, requests: int) -> None:
        """Take what an admitted request cost beyond itself; below 0, give back.

        Raises:
            StoreUnavailable: who counts was not there to ask.
        """
        ...


class MachineRate:
    """A `Rate` of one machine, whose workers count in memory that they have together.

    Args:
        limit: counts.
    """

    def __init__(self, limit: "RateLimit") -> None:
        self._limit = limit

    async def take(self, name: str) -> float:
        """Take one request; return 0 when it is admitted, else the seconds to wait."""
        return self._limit.take(name)

    def wait(self, name: str) -> float:
        """Return the seconds until a request would be admitted, and take nothing."""
        return self._limit.wait(name)

    async def charge(self, name: str, requests: int) -> None:
        """Take what an admitted request cost beyond itself; below 0, give back."""
        self._limit.charge(name, requests)


class RateLimit:
    """Admits ``rate`` requests a second per name, in bursts of at most ``burst``.

    A name that was evicted for lack of room starts with a full bucket again; capacity bounds memory.

    Args:
        clock: seconds; the same for all processes that share ``cells``.
        rate: requests a second.
        burst: requests at once.
        capacity: names that are kept at most.
        cells: where the buckets are kept; none for this process's own.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        rate: float,
        burst: float,
        capacity: int = 65_536,
        cells: Cells | None = None,
    ) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._buckets = OwnCells(capacity) if cells is None else cells

    def take(self, name: str) -> float:
        """Take one request; return 0 when it is admitted, else the seconds to wait."""
        now = self._clock()

        def _take(bucket: Cell | None) -> tuple[float, Cell]:
            level = self._level(bucket, now)
            wait = self._wait(level)
            return wait, (level - 1.0 if wait == 0.0 else level, now)

        return self._buckets.change(name, _take)

    def wait(self, name: str) -> float:
        """Return the seconds until a request would be admitted, and take nothing."""
        return self._wait(self._level(self._buckets.look(name), self._clock()))

    def charge(self, name: str, requests: int) -> None:
        """Take what an admitted request cost beyond itself; whoever owes waits until it is paid."""
        now = self._clock()
        self._buckets.change(name, lambda bucket: (None, (self._level(bucket, now) - requests, now)))

    def _level(self, bucket: Cell | None, now: float) -> float:
        level, last = (self._burst, now) if bucket is None else bucket
        # A clock that steps back must not lock anybody out.
        return min(self._burst, level + max(0.0, now - last) * self._rate)

    def _wait(self, level: float) -> float:
        return 0.0 if level >= 1.0 else (1.0 - level) / self._rate
