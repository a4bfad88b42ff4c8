"""What was used already: bounded in memory, and closed when full."""

import heapq
import math
from collections.abc import Callable
from hashlib import blake2b
from threading import Lock
from typing import Literal, Protocol

from controlplane.capabilities.forgotten import FREE, OF_ANOTHER_TIME, SPANS, changes, holds

Use = Literal["first", "again", "late", "full"]
"""How an identifier was met. Only ``first`` lets anything pass."""


class Uses(Protocol):
    """Remembers what was used."""

    def use(self, identifier: str, expires_at: float) -> Use:
        """Mark ``identifier`` as used until ``expires_at`` (Unix seconds) and return how it was met."""
        ...


class ReplayCache:
    """Remembers identifiers until they expire by themselves.

    An identifier that expired, or could have been forgotten already, is ``late``, so a clock that steps back opens
    nothing (`capabilities.forgotten`). When all places hold unexpired identifiers the answer is ``full``: forgetting
    one early would have others refused. Safe to share between threads.

    Args:
        clock: Unix seconds.
        capacity: identifiers that are kept at most, about 250 bytes each.
    """

    def __init__(self, clock: Callable[[], float], capacity: int = 100_000) -> None:
        if capacity < 1:
            raise ValueError("a replay cache needs room for at least one identifier")
        self._clock = clock
        self._capacity = capacity
        self._seen: set[bytes] = set()
        self._due: dict[int, list[bytes]] = {}
        self._seconds: list[int] = []
        self._forgotten = [FREE] * SPANS
        self._lock = Lock()

    def use(self, identifier: str, expires_at: float) -> Use:
        """Mark ``identifier`` as used until ``expires_at`` (Unix seconds) and return how it was met.

        An identifier has one expiry, as a signed one does: under a later one it may pass again after the first.

        Raises:
            ValueError: the expiry is not a finite number.
        """
        if not math.isfinite(expires_at):
            raise ValueError("an expiry is a finite number of seconds")
        key = blake2b(identifier.encode(), digest_size=16).digest()
        with self._lock:
            now = self._clock()
            self._forget(now)
            if key in self._seen:
                return "again"
            second = math.ceil(expires_at)
            if expires_at <= now or holds(self._forgotten, second):
                return "late"
            if len(self._seen) >= self._capacity and not self._has_made_room(expires_at):
                return "full"
            self._keep(key, second)
            return "first"

    def __len__(self) -> int:
        return len(self._seen)

    def _keep(self, key: bytes, second: int) -> None:
        self._seen.add(key)
        due = self._due.get(second)
        if due is None:
            self._due[second] = [key]
            heapq.heappush(self._seconds, second)
        else:
            due.append(key)

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0] <= now:
            self._drop(heapq.heappop(self._seconds))

    def _has_made_room(self, expires_at: float) -> bool:
        latest = max(self._seconds)
        if latest <= expires_at + OF_ANOTHER_TIME:
            return False
        self._seconds.remove(latest)
        heapq.heapify(self._seconds)
        self._drop(latest)
        return True

    def _drop(self, second: int) -> None:
        for index, span in changes(self._forgotten, second):
            self._forgotten[index] = span
        self._seen.difference_update(self._due.pop(second))
