"""What was followed of a ledger: its records as they were judged, what they come to, and how far it was read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.followed import Anew, Enrolled, FollowedRecord, Read
from controlplane.identifiers.histories import Identity
from controlplane.identifiers.records import SignedRecord
from controlplane.storage.database import Database
from controlplane.storage.knowing import row_identity
from controlplane.storage.tables import devices
from controlplane.storage.tables_identity import identities, identity_records, ledger_cursors, ledger_records

PAGE = 500
"""Records or devices that are read at once."""


class Ledgers:
    """The tables of what was followed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, ledger: str) -> Read:
        """Return how far a ledger was read."""
        query = select(ledger_cursors).where(ledger_cursors.c.ledger == ledger)
        rows = await self._database.read("look how far a ledger was read", query)
        return Read(rows[0].cursor, rows[0].records, rows[0].read_at) if rows else Read()

    async def known(self, ledger: str, subjects: Collection[str]) -> dict[str, Identity]:
        """Return identities by name, those of some subjects that there are."""
        is_theirs = (identities.c.ledger == ledger) & identities.c.subject.in_(list(subjects))
        rows = await self._database.read("look up identities", select(identities).where(is_theirs))
        with self._database.understanding("look up identities"):
            return {row.subject: row_identity(row) for row in rows}

    async def keep(
        self,
        ledger: str,
        before: Read,
        cursor: str,
        found: Sequence[FollowedRecord],
        changed: Collection[Identity],
        now: float,
    ) -> bool:
        """Keep records that follow, what they make of identities, and how far the ledger was read, or nothing of it.

        Records of ours among them are known to be final from now on.

        Returns:
            False, with nothing changed, when somebody else went on from there meanwhile.
        """

        async def _keep(connection: AsyncConnection) -> bool:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            first = {"ledger": ledger, "cursor": None, "records": 0, "read_at": now}
            await connection.execute(dialect.insert(ledger_cursors).values(first).on_conflict_do_nothing())
            after = {"cursor": cursor, "records": before.records + len(found), "read_at": now}
            change = update(ledger_cursors).where(_is_at(ledger, before)).values(after)
            if (await connection.execute(change)).rowcount != 1:
                return False
            await _add(connection, ledger, before.records, found)
            await _replace(connection, ledger, changed)
            await _anchor(connection, found, now)
            return True

        return await self._database.write("keep what a ledger says", _keep)

    async def records(self, ledger: str, start: int, limit: int = PAGE) -> list[FollowedRecord]:
        """Return records as they were judged, from a number on, in the ledger's order."""
        return self._followed(await self._database.read("read what was followed", _page(ledger, start, limit)))

    async def history(self, ledger: str, subject: str, limit: int = 1000) -> list[FollowedRecord]:
        """Return the records about a subject as they were judged, in the ledger's order."""
        is_theirs = (ledger_records.c.ledger == ledger) & (ledger_records.c.subject == subject)
        query = select(ledger_records).where(is_theirs).order_by(ledger_records.c.number).limit(limit)
        return self._followed(await self._database.read("read an identity's history", query))

    async def forget(self, ledger: str, before: Read, place: str, judge: Anew) -> Read | None:
        """Forget the records from a place on and judge what is left anew, in one transaction.

        Whoever compares meanwhile sees identities as they were, or as they are then, and never none. Records of ours
        that were among the forgotten are to be anchored again.

        Args:
            ledger: kind of it.
            before: how far it was read when it took something back.
            place: of the first record that is forgotten; where there is none, all are judged anew.
            judge: judges records that follow one another.

        Returns:
            How far the ledger was read now; none, with nothing changed, when somebody else went on meanwhile.
        """

        async def _forget(connection: AsyncConnection) -> Read | None:
            ours = update(ledger_cursors).where(_is_at(ledger, before)).values(records=before.records)
            if (await connection.execute(ours)).rowcount != 1:
                return None
            is_it = (ledger_records.c.ledger == ledger) & (ledger_records.c.place == place)
            first = (await connection.execute(select(func.min(ledger_records.c.number)).where(is_it))).scalar()
            if first is not None:
                await _drop_from(connection, ledger, first)
            await connection.execute(delete(identities).where(identities.c.ledger == ledger))
            known: dict[str, Identity] = {}
            left = 0
            while page := self._followed((await connection.execute(_page(ledger, left))).all()):
                found, changed = judge(page, known)
                are_they = ledger_records.c.number.between(left, left + len(page) - 1)
                await connection.execute(delete(ledger_records).where(ledger_records.c.ledger == ledger, are_they))
                await _add(connection, ledger, left, found)
                await _replace(connection, ledger, changed)
                left += len(page)
            is_ledger = ledger_cursors.c.ledger == ledger
            await connection.execute(update(ledger_cursors).where(is_ledger).values(records=left))
            return replace(before, records=left)

        return await self._database.write("judge what a ledger says anew", _forget)

    async def enrolled(self, after: str, limit: int = PAGE) -> list[Enrolled]:
        """Return devices as the registry has them, in order of their names, from after one on."""
        columns = (devices.c.id, devices.c.key_x, devices.c.key_y, devices.c.status)
        query = select(*columns).where(devices.c.id > after).order_by(devices.c.id).limit(limit)
        return self._enrolled(await self._database.read("compare devices", query))

    async def enrolled_of(self, names: Collection[str]) -> list[Enrolled]:
        """Return devices as the registry has them, those of some names that there are."""
        columns = (devices.c.id, devices.c.key_x, devices.c.key_y, devices.c.status)
        query = select(*columns).where(devices.c.id.in_(list(names))).order_by(devices.c.id)
        return self._enrolled(await self._database.read("compare devices", query))

    async def waiting(self, subjects: Collection[str]) -> dict[str, list[SignedRecord]]:
        """Return records of some subjects that are not known to be final, each subject's in order."""
        is_theirs = identity_records.c.subject.in_(list(subjects)) & identity_records.c.anchored_at.is_(None)
        query = select(identity_records.c.subject, identity_records.c.document).where(is_theirs)
        rows = await self._database.read("compare devices", query.order_by(identity_records.c.sequence))
        found: dict[str, list[SignedRecord]] = {}
        with self._database.understanding("compare devices"):
            for row in rows:
                found.setdefault(row.subject, []).append(SignedRecord.model_validate_json(row.document))
        return found

    async def late(self, before: float, limit: int) -> list[tuple[str, float]]:
        """Return whose records were made before a time and are not known to be final, and when (Unix seconds)."""
        is_late = identity_records.c.anchored_at.is_(None) & (identity_records.c.made_at < before)
        query = select(identity_records.c.subject, identity_records.c.made_at).where(is_late)
        rows = await self._database.read(
            "look for what is late", query.order_by(identity_records.c.made_at).limit(limit)
        )
        return [(row.subject, row.made_at) for row in rows]

    def _enrolled(self, rows: Sequence[Row[Any]]) -> list[Enrolled]:
        with self._database.understanding("compare devices"):
            return [
                Enrolled(row.id, PublicKey(kty="EC", crv="P-256", x=row.key_x, y=row.key_y), row.status) for row in rows
            ]

    def _followed(self, rows: Sequence[Row[Any]]) -> list[FollowedRecord]:
        with self._database.understanding("read what was followed"):
            return [
                FollowedRecord(
                    place=row.place,
                    subject=row.subject,
                    hash=row.hash,
                    refusal=row.refusal,
                    record=SignedRecord.model_validate_json(row.document),
                )
                for row in rows
            ]


def _is_at(ledger: str, read: Read) -> ColumnElement[bool]:
    is_it = (ledger_cursors.c.ledger == ledger) & (ledger_cursors.c.records == read.records)
    return is_it & ledger_cursors.c.cursor.is_not_distinct_from(read.cursor)


def _page(ledger: str, start: int, limit: int = PAGE) -> Select[Any]:
    is_there = (ledger_records.c.ledger == ledger) & (ledger_records.c.number >= start)
    return select(ledger_records).where(is_there).order_by(ledger_records.c.number).limit(limit)


async def _drop_from(connection: AsyncConnection, ledger: str, first: int) -> None:
    are_gone = (ledger_records.c.ledger == ledger) & (ledger_records.c.number >= first)
    ours = identity_records.c.hash.in_(select(ledger_records.c.hash).where(are_gone))
    await connection.execute(update(identity_records).where(ours).values(anchored_at=None))
    await connection.execute(delete(ledger_records).where(are_gone))


async def _add(connection: AsyncConnection, ledger: str, start: int, found: Sequence[FollowedRecord]) -> None:
    rows = [
        {
            "ledger": ledger,
            "number": number,
            "place": one.place,
            "subject": one.subject,
            "hash": one.hash,
            "refusal": one.refusal,
            "document": one.record.model_dump_json(exclude_none=True).encode(),
        }
        for number, one in enumerate(found, start=start)
    ]
    if rows:
        await connection.execute(insert(ledger_records), rows)


async def _replace(connection: AsyncConnection, ledger: str, changed: Collection[Identity]) -> None:
    if not changed:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(identities)
    names = [column.name for column in identities.c if column.name not in {"ledger", "subject"}]
    replaced = statement.on_conflict_do_update(
        index_elements=["ledger", "subject"], set_={name: statement.excluded[name] for name in names}
    )
    await connection.execute(replaced, [_values(ledger, one) for one in changed])


async def _anchor(connection: AsyncConnection, found: Sequence[FollowedRecord], now: float) -> None:
    """Note that records of ours are final: those that count, and whatever is in our own log.

    A record is known by what it states, so anybody can write the same with a signature of their own, or ours too early.
    Neither counts, and ours is still to come.
    """
    names = [one.hash for one in found if not one.refusal]
    others = [one.hash for one in found if one.refusal and one.hash]
    is_logged = identity_records.c.hash.in_(others) & identity_records.c.place.is_not(None)
    ours = (identity_records.c.hash.in_(names) | is_logged) & identity_records.c.anchored_at.is_(None)
    if names or others:
        await connection.execute(update(identity_records).where(ours).values(anchored_at=now))


def _values(ledger: str, one: Identity) -> Mapping[str, Any]:
    return {
        "ledger": ledger,
        "subject": one.subject,
        "kind": one.kind,
        "issuer": one.issuer,
        "key_x": one.key.x,
        "key_y": one.key.y,
        "is_revoked": one.is_revoked,
        "sequence": one.sequence,
        "head": one.head,
        "is_founder": one.is_founder,
    }
