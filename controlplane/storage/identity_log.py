"""Records of identities in our own log: each an entry, numbered among its like, so that none can be left out unseen."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.identifiers.records import Record, SignedRecord
from controlplane.identifiers.shown import encode_record
from controlplane.storage.database import Database
from controlplane.storage.log import append, take_turn
from controlplane.storage.tables_identity import identity_records
from controlplane.storage.tables_log import log_entries
from controlplane.transparency.entries import identity_name

_MOST_NUMBER = 2**31 - 1
"""A whole number in PostgreSQL."""


@dataclass(frozen=True)
class LoggedRecord:
    """A record with its entry in our own log.

    Attributes:
        number: among the identity records of the log, from 0.
        place: of its entry in the log.
        time_ms: of the entry.
        salt: with which the entry commits to it.
        record: it.
    """

    number: int
    place: int
    time_ms: int
    salt: bytes
    record: SignedRecord


class IdentityLog:
    """The records that are entries of our own log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def logged(self, start: int, limit: int, before: int) -> list[LoggedRecord]:
        """Return up to ``limit`` records of our own log from a number on, whose entries are before a place."""
        is_there = (identity_records.c.number >= min(start, _MOST_NUMBER)) & (identity_records.c.place < before)
        columns = (identity_records.c.document, log_entries.c.salt, log_entries.c.time_ms)
        query = select(identity_records.c.number, identity_records.c.place, *columns).join_from(
            identity_records, log_entries, identity_records.c.place == log_entries.c.place
        )
        rows = await self._database.read(
            "read identity records", query.where(is_there).order_by(identity_records.c.number).limit(limit)
        )
        with self._database.understanding("read identity records"):
            return [
                LoggedRecord(
                    number=row.number,
                    place=row.place,
                    time_ms=row.time_ms,
                    salt=bytes(row.salt or b""),
                    record=SignedRecord.model_validate_json(row.document),
                )
                for row in rows
            ]

    async def logged_before(self, place: int) -> int:
        """Return how many identity records our own log has before a place."""
        query = select(func.max(identity_records.c.number)).where(identity_records.c.place < place)
        last = (await self._database.read("count identity records", query))[0][0]
        return 0 if last is None else int(last) + 1

    async def publish(self, records: Sequence[Record], now: float) -> Record | None:
        """Take records into our own log, each in a transaction of its own; one that is there already changes nothing.

        Returns:
            The first that cannot be taken, for another of its subject and sequence is there; those before it were.
        """
        for record in records:

            async def _take(connection: AsyncConnection, record: Record = record) -> bool:
                await connection.run_sync(take_turn)
                said = record.statement
                is_it = (identity_records.c.subject == said.subject) & (identity_records.c.sequence == said.sequence)
                columns = select(identity_records.c.hash, identity_records.c.place, identity_records.c.document)
                found = (await connection.execute(columns.where(is_it))).first()
                if found is None:
                    return await insert_record(connection, record, now, on_log=True)
                if found.hash == record.hash and found.place is None:
                    # Made for another ledger, before this one was.
                    logged = await connection.run_sync(_log, record, bytes(found.document))
                    noted = update(identity_records).where(identity_records.c.hash == record.hash)
                    await connection.execute(noted.values(logged))
                return bool(found.hash == record.hash)

            if not await self._database.write("take an identity record", _take):
                return record
        return None


async def insert_record(connection: AsyncConnection, record: Record, now: float, *, on_log: bool) -> bool:
    """Write a record within a transaction; false when one of its subject and sequence is there, and it must not end.

    Records are published in the order in which they were made, and one that comes to a chain before the one that it
    follows is refused there for good. So none is made before that one, whatever the clocks of two replicas say.
    """
    said, document = record.statement, encode_record(record.signed)
    latest = select(func.max(identity_records.c.made_at)).where(identity_records.c.subject == said.subject)
    last = (await connection.execute(latest)).scalar()
    row = {
        "subject": said.subject,
        "sequence": said.sequence,
        "hash": record.hash,
        "document": document,
        "made_at": now if last is None else max(now, last),
    }
    if on_log:
        row |= await connection.run_sync(_log, record, document)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(identity_records).values(row).on_conflict_do_nothing()
    return (await connection.execute(statement)).rowcount == 1


def _log(connection: Connection, record: Record, document: bytes) -> dict[str, int | None]:
    """Append the entry of a record; return the number and place that it has."""
    # From here on nobody else appends, so numbers and places have one order.
    take_turn(connection)
    last = connection.execute(select(func.max(identity_records.c.number))).scalar()
    number = 0 if last is None else int(last) + 1
    place = append(connection, "identity", [(identity_name(number), record.statement.time_ms / 1000, document)])
    return {"number": number, "place": place}
