"""Token buckets, one per caller, bounded in number."""

from collections import OrderedDict
from collections.abc import Callable


class RateLimit:
    """Admits ``rate`` requests a second per name, in bursts of at most ``burst``.

    A name that was evicted for lack of room starts with a full bucket again; capacity bounds memory.
    """

    def __init__(self, clock: Callable[[], float], *, rate: float, burst: float, capacity: int = 65_536) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._capacity = capacity
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take one request; return 0 when it is admitted, else the seconds to wait."""
        now = self._clock()
        level = self._level(name, now)
        wait = self._wait(level)
        self._buckets.pop(name, None)
        while len(self._buckets) >= self._capacity:
            self._buckets.popitem(last=False)
        self._buckets[name] = (level - 1.0 if wait == 0.0 else level, now)
        return wait

    def wait(self, name: str) -> float:
        """Return the seconds until a request would be admitted, and take nothing."""
        return self._wait(self._level(name, self._clock()))

    def charge(self, name: str, requests: int) -> None:
        """Take what an admitted request cost beyond itself; whoever owes waits until it is paid."""
        now = self._clock()
        self._buckets[name] = (self._level(name, now) - requests, now)
        self._buckets.move_to_end(name)

    def _level(self, name: str, now: float) -> float:
        level, last = self._buckets.get(name, (self._burst, now))
        # A clock that steps back must not lock anybody out.
        return min(self._burst, level + max(0.0, now - last) * self._rate)

    def _wait(self, level: float) -> float:
        return 0.0 if level >= 1.0 else (1.0 - level) / self._rate
