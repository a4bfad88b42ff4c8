"""The table of grants as it is given out: made of what the store holds, whenever that has changed."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from controlplane.contracts.segmentation import Cut, Grant, GrantTable
from controlplane.decisions.reachable import Reachable, ServicePolicy
from controlplane.segmentation.tables import table_of
from controlplane.storage.segments import Mark

EVERY_SECONDS = 0.2
"""How often the store is looked at while somebody waits for another table: a cut is told of this soon after."""

FRESH_SECONDS = 1.0
"""A table is made anew when it is older: grants that ended since are not in it."""

WHOLE_SECONDS = 10.0
"""All grants are read anew when they were so long ago; between, those alone that were made since."""

OLDEST_SECONDS = 10.0
"""Whoever has another table is given none that is older: by when it was made a router sets its clock."""

OVERLAP_SECONDS = 30.0
"""Grants are read again that were made so long before the last that were read: other replicas have other clocks."""

REST = 3.0
"""Who waits is told of new grants no sooner than after so many times what the last table took: of a large table that
changes all the time, most of a processor would go into making it. Cuts, and whatever ends, are told of at once."""

MAX_WAITING = 256
"""Callers that wait at the same time; others are answered at once."""


class TableStore(Protocol):
    """Keeps what a table is made of; `storage.segments` does."""

    async def mark(self) -> Mark:
        """Return what becomes another when the table may."""
        ...

    async def granted(self, now: float, since: float = 0.0) -> Sequence[Grant]:
        """Return the grants that last at ``now`` and were made at ``since`` or later (Unix seconds)."""
        ...

    async def cuts(self) -> Sequence[Cut]:
        """Return the devices that are set apart or revoked."""
        ...


class TableObserver(Protocol):
    """Shows what the table holds."""

    def table(self, grants: int, cuts: int, seconds: float) -> None:
        """It was made, within some seconds."""
        ...


@dataclass(frozen=True)
class MadeTable:
    """A table, and as it is sent.

    Attributes:
        table: it.
        body: as JSON.
    """

    table: GrantTable
    body: bytes


@dataclass(frozen=True)
class _Known:
    """What the last table was made of.

    Attributes:
        made: the table.
        mark: of the store.
        reachable: what policy told.
        grants: by id.
        whole_at: when all of them were read (Unix seconds).
        looked_at: when the store was looked at (of the timer).
        seconds: that it took.
    """

    made: MadeTable
    mark: Mark
    reachable: Reachable
    grants: Mapping[str, Grant]
    whole_at: float
    looked_at: float
    seconds: float


class SegmentTables:
    """Gives out the table, and lets callers wait for another one. Many callers cost the store what one costs.

    Args:
        store: keeps grants.
        policy: says what can be reached.
        observer: shows what the table holds.
        clock: Unix seconds.
        timer: seconds, never stepping back.
    """

    def __init__(
        self,
        store: TableStore,
        policy: ServicePolicy,
        observer: TableObserver,
        clock: Callable[[], float],
        timer: Callable[[], float],
    ) -> None:
        self._store = store
        self._policy = policy
        self._observer = observer
        self._clock = clock
        self._timer = timer
        self._known: _Known | None = None
        self._looked_at = float("-inf")
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._closing = asyncio.Event()

    async def current(self) -> MadeTable | None:
        """Return the table as it is now; none where policy does not tell what can be reached.

        Raises:
            StoreUnavailable: the store cannot be read. Whoever has a table keeps it: its grants end by themselves.
        """
        return await self._newest(is_patient=False)

    async def another(self, known: str, seconds: float) -> MadeTable | None:
        """Return a table of another revision than ``known`` as soon as there is one, or after so many seconds the same.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        until = self._timer() + seconds
        found = await self._newest(is_patient=True)
        if found is not None and found.table.revision != known and self._age(found) > OLDEST_SECONDS:
            return await self._newest(is_patient=False)
        if self._waiting >= MAX_WAITING:
            return found
        self._waiting += 1
        try:
            while found is not None and found.table.revision == known and not self._closing.is_set():
                left = until - self._timer()
                if left <= 0:
                    break
                await self._pause(min(EVERY_SECONDS, left))
                found = await self._newest(is_patient=True)
        finally:
            self._waiting -= 1
        return found

    @property
    def waiting(self) -> int:
        """How many wait for another table now."""
        return self._waiting

    def close(self) -> None:
        """Let nobody wait any longer: the server ends."""
        self._closing.set()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    async def _newest(self, *, is_patient: bool) -> MadeTable | None:
        """Return the table; whoever is patient takes one that others looked for a moment ago.

        What has ended by itself ends at the routers too: the patient are sent no other table for it alone.
        """
        async with self._turn:
            reachable = await self._policy.reachable()
            if reachable is None:
                return None
            started, known = self._timer(), self._known
            if known is not None and is_patient and started - self._looked_at < EVERY_SECONDS / 2:
                return known.made
            # Before what it stands for is read: what is written in between makes another look.
            mark = await self._store.mark()
            self._looked_at = started
            if known is not None and self._is_good(known, mark, reachable, started, is_patient=is_patient):
                return known.made
            self._known = known = await self._make(known, mark, reachable, started)
            held = known.made.table
            self._observer.table(len(held.grants), len(held.cuts), known.seconds)
            return known.made

    def _is_good(self, known: _Known, mark: Mark, reachable: Reachable, started: float, *, is_patient: bool) -> bool:
        if known.mark.standing != mark.standing or known.reachable.revision != reachable.revision:
            return False
        age = self._age(known.made)
        if age < 0.0:
            # The clock was set back: what was granted by the one before may be of the future now.
            return False
        is_resting = started - known.looked_at < REST * known.seconds
        if is_patient:
            return known.mark.grants == mark.grants or is_resting
        return known.mark.grants == mark.grants and age <= FRESH_SECONDS

    def _age(self, made: MadeTable) -> float:
        return self._clock() - made.table.made_at

    async def _make(self, known: _Known | None, mark: Mark, reachable: Reachable, started: float) -> _Known:
        now = self._clock()
        kept: Mapping[str, Grant] = {}
        if known is None or known.mark.standing != mark.standing or not 0.0 <= now - known.whole_at <= WHOLE_SECONDS:
            whole_at, since = now, 0.0
        else:
            kept, whole_at, since = known.grants, known.whole_at, known.made.table.made_at - OVERLAP_SECONDS
        found = await self._store.granted(now, since)
        # Cuts after grants: whoever is set apart in between is in both, and is then in the cuts alone.
        cuts = await self._store.cuts()
        grants = {one.id: one for one in kept.values() if one.expires_at > now} | {one.id: one for one in found}
        made = await asyncio.to_thread(_written, reachable, list(grants.values()), cuts, now)
        return _Known(made, mark, reachable, grants, whole_at, started, self._timer() - started)


def _written(reachable: Reachable, grants: Sequence[Grant], cuts: Sequence[Cut], now: float) -> MadeTable:
    table = table_of(reachable.services, grants, cuts, policy_revision=reachable.revision, made_at=now)
    return MadeTable(table, table.__pydantic_serializer__.to_json(table, exclude_none=True))
