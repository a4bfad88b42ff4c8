"""What is void before its time, and the events that say so."""

import time
from collections.abc import Collection, Sequence

from sqlalchemy import case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.events import Events, Notice, Revocation, RevocationKind
from controlplane.storage.database import Database
from controlplane.storage.events import append_events, take_turn
from controlplane.storage.tables_capabilities import revocations

SHORT_SECONDS = 0.1
"""A wait that makes no difference: revocations reach two seconds further, of which replicas use less."""


class Revocations:
    """The table of revocations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, notice: Notice) -> None:
        """Keep revocations and their events in one transaction; of two that name the same, the later time stays."""
        begun = time.monotonic()
        if notice.revocations or notice.events:
            await self._database.write("revoke", lambda to: write_notice(to, notice, begun))

    async def live(self, now: float, kinds: Collection[RevocationKind]) -> list[Revocation]:
        """Return what is void at ``now`` (Unix seconds), of some kinds."""
        is_live = (revocations.c.expires_at > now) & revocations.c.kind.in_(kinds)
        rows = await self._database.read("read revocations", select(revocations).where(is_live))
        return [Revocation.model_validate(dict(row._mapping)) for row in rows]

    async def purge(self, now: float) -> int:
        """Forget the revocations that can concern nothing any more at ``now`` (Unix seconds); return how many."""
        is_past = revocations.c.expires_at <= now
        return await self._database.change("forget old revocations", delete(revocations).where(is_past))


async def write_notice(connection: AsyncConnection, notice: Notice, begun: float | None = None) -> None:
    """Write revocations and events within a transaction.

    Args:
        connection: of the transaction.
        notice: what to write.
        begun: when it was wanted, by `time.monotonic`; none for just now. What waited for its turn dates from its turn:
            until then its subjects counted as they had before, and what they got meanwhile must be void too.
    """
    if notice.events:
        await take_turn(connection)
    waited = 0.0 if begun is None else time.monotonic() - begun
    if waited > SHORT_SECONDS:
        notice = _postponed(notice, waited)
    await append_events(connection, notice.events)
    await _revoke(connection, notice.revocations)


def _postponed(notice: Notice, seconds: float) -> Notice:
    return Notice(
        revocations=[
            one.model_copy(update={"revoked_at": one.revoked_at + seconds, "expires_at": one.expires_at + seconds})
            for one in notice.revocations
        ],
        events=[one.model_copy(update={"events": _moved(one.events, seconds)}) for one in notice.events],
    )


def _moved(events: Events, seconds: float) -> Events:
    stated = {name: getattr(events, name) for name in type(events).model_fields}
    return events.model_copy(
        update={
            name: event.model_copy(update={"event_timestamp": event.event_timestamp + seconds})
            for name, event in stated.items()
            if hasattr(event, "event_timestamp")
        }
    )


async def _revoke(connection: AsyncConnection, added: Sequence[Revocation]) -> None:
    if not added:
        return
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(revocations)
    later = {
        name: case((insert.excluded[name] > revocations.c[name], insert.excluded[name]), else_=revocations.c[name])
        for name in ("revoked_at", "expires_at")
    }
    # One order for everybody: two replicas that revoke the same cannot wait for one another in a ring.
    rows = sorted((one.model_dump() for one in added), key=lambda row: (row["kind"], row["value"]))
    await connection.execute(insert.on_conflict_do_update(index_elements=["kind", "value"], set_=later), rows)
