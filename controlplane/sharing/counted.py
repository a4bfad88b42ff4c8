"""What several worker processes of one control plane must count once: seen proofs, allowances, budgets, nonces."""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from controlplane.capabilities.forgotten import OF_ANOTHER_TIME, changes, holds
from controlplane.capabilities.replay import ReplayCache, Use, Uses
from controlplane.decisions.cells import Cell, Cells, OwnCells
from controlplane.sharing.memory import SECRET_BYTES, Buckets, Memory, Shape

T = TypeVar("T")

PROOFS = 500_000
"""Proofs of enrolled keys that are remembered for their 65 s: 7,600 requests a second, in at most 125 MB."""

NEWCOMERS = 100_000
"""Proofs of keys that are not enrolled, and one-time capabilities, that are remembered."""

NAMES = 65_536
"""Callers whose allowance is kept, and networks of strangers."""

SUBJECTS = 100_000
"""Subjects whose use is kept."""

_RATE_NUMBERS, _USAGE_NUMBERS = 2, 5

# A cell has one number more than its owner knows: when it was changed last.
SHAPES = (
    Shape(PROOFS, 1),
    Shape(NEWCOMERS, 1),
    Shape(NEWCOMERS, 1),
    Shape(SUBJECTS, _USAGE_NUMBERS + 1),
    Shape(NAMES, _RATE_NUMBERS + 1),
    Shape(NAMES, _RATE_NUMBERS + 1),
    Shape(NAMES, _RATE_NUMBERS + 1),
)
"""How the memory is cut: proofs, newcomers, capabilities, usage, callers, strangers, repeated."""


@dataclass(frozen=True)
class Counted:
    """The memories of a control plane, of one process or of several.

    Attributes:
        proofs: of enrolled keys.
        newcomers: proofs of keys that are not.
        capabilities: that may be used once.
        usage: budgets.
        callers: allowances of those who are enrolled.
        strangers: allowances of those who are not.
        repeated: allowances of idempotency keys.
        nonce_secret: of the nonces; none for one of the process's own.
    """

    proofs: Uses
    newcomers: Uses
    capabilities: Uses
    usage: Cells
    callers: Cells
    strangers: Cells
    repeated: Cells
    nonce_secret: bytes | None = None


@dataclass(frozen=True)
class Part:
    """What a control plane has of others that serve beside it, as one of several workers.

    Attributes:
        counted: what all of them count.
        exposition: returns the metrics of all of them as a scraper takes them, and their content type.
    """

    counted: Counted
    exposition: Callable[[str], Awaitable[tuple[bytes, str]]]


def own(clock: Callable[[], float]) -> Counted:
    """Return the memories of a control plane that is one process.

    Args:
        clock: Unix seconds.
    """
    return Counted(
        proofs=ReplayCache(clock, PROOFS),
        newcomers=ReplayCache(clock, NEWCOMERS),
        capabilities=ReplayCache(clock, NEWCOMERS),
        usage=OwnCells(SUBJECTS),
        callers=OwnCells(NAMES),
        strangers=OwnCells(NAMES),
        repeated=OwnCells(NAMES),
    )


def shared(memory: "Memory", clock: Callable[[], float]) -> Counted:
    """Return the memories that all workers have together.

    Args:
        memory: that each of them inherits.
        clock: Unix seconds; the same for all.
    """
    nonces = blake2b(b"nonces", digest_size=SECRET_BYTES, key=memory.secret).digest()
    return Counted(
        proofs=SharedUses(memory.part(0), clock),
        newcomers=SharedUses(memory.part(1), clock),
        capabilities=SharedUses(memory.part(2), clock),
        usage=SharedCells(memory.part(3)),
        callers=SharedCells(memory.part(4)),
        strangers=SharedCells(memory.part(5)),
        repeated=SharedCells(memory.part(6)),
        nonce_secret=nonces,
    )


class SharedCells:
    """`Cells` of all workers together. In a full bucket the name that was changed longest ago goes.

    Args:
        buckets: where they lie.
        timer: seconds that never step back, the same for all.
    """

    def __init__(self, buckets: Buckets, timer: Callable[[], float] = time.monotonic) -> None:
        self._buckets = buckets
        self._timer = timer

    def change(self, name: str, work: Callable[[Cell | None], tuple[T, Cell]]) -> T:
        """Replace a name's cell by the one that ``work`` returns; return its answer."""
        buckets = self._buckets
        place = buckets.lock(name)
        try:
            way = buckets.find(place)
            answer, cell = work(None if way is None else buckets.read(place, way)[:-1])
            if way is None:
                stamps = buckets.stamps(place)
                way = stamps.index(min(stamps))
            buckets.write(place, way, (*cell, self._timer()))
        finally:
            buckets.unlock(place)
        return answer

    def look(self, name: str) -> Cell | None:
        """Return a name's cell, or none."""
        buckets = self._buckets
        place = buckets.lock(name)
        try:
            way = buckets.find(place)
            return None if way is None else buckets.read(place, way)[:-1]
        finally:
            buckets.unlock(place)


class SharedUses:
    """`Uses` of all workers together, with the answers of a `ReplayCache`.

    A place is free again when what lies in it has expired. Its bucket remembers which expiries were written over, so
    that a clock that steps back opens nothing (`capabilities.forgotten`).

    Args:
        buckets: where they lie.
        clock: Unix seconds, the same for all.
    """

    def __init__(self, buckets: Buckets, clock: Callable[[], float]) -> None:
        self._buckets = buckets
        self._clock = clock

    def use(self, identifier: str, expires_at: float) -> Use:
        """Mark ``identifier`` as used until ``expires_at`` (Unix seconds) and return how it was met.

        Raises:
            ValueError: the expiry is not a finite number.
        """
        if not math.isfinite(expires_at):
            raise ValueError("an expiry is a finite number of seconds")
        buckets = self._buckets
        place = buckets.lock(identifier)
        try:
            if buckets.find(place) is not None:
                return "again"
            now, forgotten = self._clock(), buckets.spans(place)
            if expires_at <= now or holds(forgotten, expires_at):
                return "late"
            stamps = buckets.stamps(place)
            over = min(stamps)
            if over > now:
                over = max(stamps)
                if over <= expires_at + OF_ANOTHER_TIME:
                    return "full"
            if over > 0.0:
                for index, span in changes(forgotten, over):
                    buckets.set_span(place, index, span)
            buckets.write(place, stamps.index(over), (expires_at,))
            return "first"
        finally:
            buckets.unlock(place)
