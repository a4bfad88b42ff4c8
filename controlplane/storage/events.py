"""Security events in the order in which they were committed, for a while."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.events import SecurityEvent
from controlplane.storage.database import Database
from controlplane.storage.log import log
from controlplane.storage.tables_capabilities import security_events as events

EventRow = tuple[int, float, bytes]
"""Sequence, time (Unix seconds), and the `SecurityEvent` as JSON."""

_LOCK = text("SELECT pg_advisory_xact_lock(8417)")


class Events:
    """The table of security events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, sequence: int, limit: int = 100) -> list[EventRow]:
        """Return up to ``limit`` events that come after ``sequence``, in order."""
        query = select(events).where(events.c.sequence > sequence).order_by(events.c.sequence).limit(limit)
        return [(row.sequence, row.time, row.document) for row in await self._database.read("read events", query)]

    async def bounds(self) -> tuple[int, int]:
        """Return the oldest and the newest sequence that are kept; (1, 0) when there never was an event."""
        query = select(func.min(events.c.sequence).label("oldest"), func.max(events.c.sequence).label("newest"))
        row = (await self._database.read("read events", query))[0]
        return (1, 0) if row.oldest is None else (row.oldest, row.newest)

    async def before(self, time: float) -> int:
        """Return the sequence after which come all kept events of ``time`` (Unix seconds) and later."""
        query = select(func.min(events.c.sequence)).where(events.c.time >= time)
        first = (await self._database.read("read events", query))[0][0]
        return (await self.bounds())[1] if first is None else first - 1

    async def purge(self, before: float) -> int:
        """Forget what happened before ``before`` (Unix seconds) and whatever came earlier; return how much.

        The newest event stays, so that sequences never begin anew.
        """
        last = select(func.max(events.c.sequence)).where(events.c.time < before).scalar_subquery()
        newest = select(func.max(events.c.sequence)).scalar_subquery()
        statement = delete(events).where((events.c.sequence <= last) & (events.c.sequence < newest))
        return await self._database.change("forget old events", statement)


async def take_turn(connection: AsyncConnection) -> None:
    """Wait until no other transaction appends events, and keep others waiting until this one has ended.

    So a reader that has seen a sequence has seen all before it.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(_LOCK)


async def append_events(connection: AsyncConnection, added: Sequence[SecurityEvent]) -> None:
    """Append events within a transaction that has taken its turn."""
    if not added:
        return
    kept = [(one.txn, _time(one), one.model_dump_json(exclude_none=True).encode()) for one in added]
    await connection.execute(insert(events), [{"time": time, "document": document} for _, time, document in kept])
    await log(connection, "event", kept)


def _time(event: SecurityEvent) -> float:
    happened = event.events.caep
    if happened is None:
        raise ValueError("what is about the stream itself is not kept")
    return happened.event_timestamp
