"""What makes a store that was put back from a backup safe to serve: nothing that was used up since counts again."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import column, delete, func, select, table, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.storage.database import Database
from controlplane.storage.events import take_turn

EVENTS_SKIPPED = 10_000_000
"""How far the numbering of events leaps: further than events can have been written since the backup."""

_USED_ONCE = ("enrolment_tokens", "attestation_challenges", "idempotency", "console_sessions")
"""Tables of what counts once, or until it is ended: whether it was since the backup is not known."""

_events = table("security_events", column("sequence"))
_devices = table("devices", column("id"), column("status"))
_checkpoints = table("log_checkpoints")


class Standing(NamedTuple):
    """Who was set apart.

    Attributes:
        device: its id.
        status: ``quarantined`` or ``revoked``.
    """

    device: str
    status: str


class Reopening:
    """Changes for a store that is not served now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget_used(self) -> Mapping[str, int]:
        """Take out what could have been used up since the backup; return how many rows, by table."""

        async def _forget(connection: AsyncConnection) -> Mapping[str, int]:
            return {name: (await connection.execute(delete(table(name)))).rowcount for name in _USED_ONCE}

        return await self._database.write("forget what may have been used", _forget)

    async def newest_event(self) -> int:
        """Return the number of the newest event, or 0."""
        query = select(func.max(_events.c.sequence))
        return int((await self._database.read("read events", query))[0][0] or 0)

    async def leap(self, after: int) -> None:
        """Number the events after ``after`` so high that none bears a number that was given out since the backup.

        Whoever follows the events and saw those gets all that come from now on, and takes none for one that it saw.
        """

        async def _leap(connection: AsyncConnection) -> None:
            await take_turn(connection)
            is_new = _events.c.sequence > after
            await connection.execute(update(_events).where(is_new).values(sequence=_events.c.sequence + EVENTS_SKIPPED))
            if connection.dialect.name == "postgresql":
                # SQLite goes on after the highest number by itself.
                said = (
                    "SELECT setval(pg_get_serial_sequence('security_events', 'sequence'), "
                    "(SELECT max(sequence) FROM security_events))"
                )
                await connection.execute(text(said))

        await self._database.write("number the events anew", _leap)

    async def forget_heads(self) -> int:
        """Take the signed heads out, so that another log begins with the entries that there are; return how many."""
        return await self._database.change("begin another log", delete(_checkpoints))

    async def set_apart(self) -> Sequence[Standing]:
        """Return the devices that are not active."""
        query = select(_devices).where(_devices.c.status != "active").order_by(_devices.c.id)
        rows = await self._database.read("read devices", query)
        return [Standing(row.id, row.status) for row in rows]
