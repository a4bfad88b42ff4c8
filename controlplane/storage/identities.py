"""Signed records of identities, written in the transaction that changes the device; what waits to be anchored.

A record is made where the organisation's key is. Where a device changes and that key is not at hand, in a command or
before the control plane served, the device is noted, and its record is made as soon as the key is there.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Row, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.events import Notice
from controlplane.contracts.identity import Attestation, PublicKey
from controlplane.identifiers.histories import Identity, RecordRefused, judge
from controlplane.identifiers.names import device_id
from controlplane.identifiers.records import Record, SignedRecord
from controlplane.jose.keys import thumbprint
from controlplane.storage.attestations import forget_attestations
from controlplane.storage.database import Database
from controlplane.storage.identity_log import insert_record
from controlplane.storage.knowing import identity_of, known_in, looks, merged, row_identity
from controlplane.storage.revocations import write_notice
from controlplane.storage.tables import devices
from controlplane.storage.tables_identity import device_keys, identity_pending, identity_records, ledger_cursors

MOST_PENDING = 200
"""Devices whose records are made at once."""

MOST_APART_SECONDS = 300.0
"""Between when a device says that it rotates its key and now. Everybody is shown that time, and it is the device's."""


class Author(Protocol):
    """Says what becomes of devices, with the organisation's key; `identity.organisations` does."""

    @property
    def federation(self) -> str:
        """In which its records count."""
        ...

    @property
    def ledger(self) -> str:
        """Kind of the ledger that its records are for; ``log`` is the store's own."""
        ...

    def registers(self, device: str, key: PublicKey) -> SignedRecord:
        """Return the record that a device has a key."""
        ...

    def revokes(self, known: Identity) -> SignedRecord:
        """Return the record that a device is no more."""
        ...


@dataclass(frozen=True)
class Made:
    """A record that was made or taken here.

    Attributes:
        record: it.
        made_at: Unix seconds.
        number: among the identity records of our own log, from 0; none on another ledger.
        place: of its entry in our own log; none on another ledger.
        anchored_at: when it was seen to be final, Unix seconds; none until then.
    """

    record: SignedRecord
    made_at: float
    number: int | None
    place: int | None
    anchored_at: float | None


class Identities:
    """The tables of records that are made here.

    Attributes:
        author: makes records; none where the organisation's key is not at hand.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.author: Author | None = None

    async def begin(self, author: Author) -> None:
        """Have an author make records from now on.

        On a ledger that was never read here, everything that was made before is to be anchored too.

        Raises:
            StoreUnavailable: the database failed.
        """

        async def _begin(connection: AsyncConnection) -> None:
            query = select(ledger_cursors.c.ledger).where(ledger_cursors.c.ledger == author.ledger)
            if (await connection.execute(query)).first() is None:
                is_done = identity_records.c.anchored_at.is_not(None)
                await connection.execute(update(identity_records).where(is_done).values(anchored_at=None))

        await self._database.write("begin with identities", _begin)
        self.author = author

    async def registered(self, connection: AsyncConnection, device: str, key: PublicKey) -> bool:
        """Write the record of a new device within the transaction that adds it.

        One that another organisation registered before has a record already.

        Returns:
            False when it must not be added: the ledger has it as revoked, or with another key.
        """
        followed, _ = looks(self._ledger, device)
        row = (await connection.execute(followed)).first()
        if row is not None:
            known = row_identity(row)
            return not known.is_revoked and known.key == key
        if self.author is None:
            await note_pending(connection, device)
        else:
            await self._write(connection, self.author, self.author.registers(device, key))
        return True

    async def revoked(self, connection: AsyncConnection, device: str) -> None:
        """Write the record that a device is revoked within the transaction that revokes it; once."""
        if self.author is None:
            await note_pending(connection, device)
            return
        known = await self._known_or_registered(connection, self.author, device)
        if known is not None and not known.is_revoked:
            await self._write(connection, self.author, self.author.revokes(known))

    async def rotate(self, device: str, record: Record, notice: Notice, now: float) -> None:
        """Give a device another key, as a record says that it signed and the new key consented to.

        In one transaction: the device has the new key, the old one is remembered so that nobody enrols with it, the
        record is written, and what the old key holds is void. What was proven of the platform was proven with the old
        key, and counts no more.

        Args:
            device: whose key it is.
            record: what its owner sent.
            notice: of what is void.
            now: Unix seconds.

        Raises:
            RecordRefused: it may not be made there, or the key is or was another's; nothing changes.
            StoreUnavailable: the database failed.
        """
        author = self.author
        if author is None:
            raise RecordRefused("unknown_subject", "no organisation vouches for devices here")
        begun = time.monotonic()

        async def _rotate(connection: AsyncConnection) -> None:
            row = (await connection.execute(select(devices).where(devices.c.id == device).with_for_update())).first()
            known = None if row is None else await self._known_or_registered(connection, author, device)
            if row is None or known is None:
                raise RecordRefused("unknown_subject", f"no device {device} is enrolled")
            if (record.statement.subject, record.statement.act) != (device, "rotated"):
                raise RecordRefused("unknown_subject", f"it is no rotation of the key of {device}")
            if row.status == "revoked":
                raise RecordRefused("is_revoked", f"{device} is revoked, which is final")
            if row.status != "active":
                # It was set apart after policy had answered.
                raise RecordRefused("is_quarantined", f"{device} is set apart; try again once it is let back")
            if abs(record.statement.time_ms / 1000 - now) > MOST_APART_SECONDS:
                raise RecordRefused("wrong_time", "it was said at another time than now; compare the clocks")
            if known.key != PublicKey(kty="EC", crv="P-256", x=row.key_x, y=row.key_y):
                raise RecordRefused("not_signed_by_author", f"the records of {device} name another key than it has")
            after = judge(record, author.federation, known, None)
            mark = thumbprint(after.key)
            await _require_new(connection, mark)
            if await known_in(connection, author.ledger, device_id(mark)) is not None:
                raise RecordRefused("key_known", "the ledger has that key as another device's: make a new one")
            retired = {"thumbprint": row.key_thumbprint, "device": device, "until": now}
            await connection.execute(device_keys.insert().values(retired))
            changes = {
                "key_thumbprint": mark,
                "key_x": after.key.x,
                "key_y": after.key.y,
                "attestation_level": Attestation().level,
                "attestation_verified_at": None,
                "attestation_expires_at": None,
            }
            await connection.execute(update(devices).where(devices.c.id == device).values(changes))
            await forget_attestations(connection, device)
            await write_notice(connection, notice, begun)
            await self._write(connection, author, record.signed, now)

        await self._database.write("give a device another key", _rotate)

    async def make_pending(self, *, vouches: bool) -> int:
        """Make the records of some devices that were noted for one; return how many there were.

        Args:
            vouches: for devices without any record too. Whoever writes into the database can note one that nobody
                enrolled; without this it gets no record.
        """
        author = self.author
        if author is None:
            return 0
        found = await self._database.read(
            "look for devices without a record", select(identity_pending.c.device).limit(MOST_PENDING)
        )
        names = [row.device for row in found]

        async def _make(connection: AsyncConnection) -> None:
            for name in names:
                query = select(devices.c.status).where(devices.c.id == name).with_for_update()
                status = (await connection.execute(query)).scalar()
                known = None
                if status is not None and vouches:
                    known = await self._known_or_registered(connection, author, name)
                elif status is not None:
                    known = await known_in(connection, author.ledger, name)
                if known is not None and status == "revoked" and not known.is_revoked:
                    await self._write(connection, author, author.revokes(known))
            await connection.execute(delete(identity_pending).where(identity_pending.c.device.in_(names)))

        if names:
            await self._database.write("record devices", _make)
        return len(names)

    async def known(self, subject: str) -> Identity | None:
        """Return an identity as the records that were made here, and the ledger, have it."""
        followed, made = looks(self._ledger, subject)
        what = "look up an identity"
        return merged(await self._database.read(what, followed), await self._database.read(what, made))

    async def history(self, subject: str, limit: int = 100) -> list[Made]:
        """Return the latest ``limit`` records of a subject that were made or taken here, the earliest first."""
        query = select(identity_records).where(identity_records.c.subject == subject)
        rows = await self._database.read(
            "read an identity's history", query.order_by(identity_records.c.sequence.desc()).limit(limit)
        )
        return self._made(rows[::-1])

    async def former_holder(self, mark: str) -> str | None:
        """Return which device had the key of a thumbprint before the one that it has, or none."""
        query = select(device_keys.c.device).where(device_keys.c.thumbprint == mark)
        rows = await self._database.read("look whose key one was", query)
        return str(rows[0].device) if rows else None

    async def latest_registration(self) -> SignedRecord | None:
        """Return the registration of a device that was made here last, or none."""
        query = select(identity_records).where(identity_records.c.sequence == 0)
        rows = await self._database.read(
            "look who made records here", query.order_by(identity_records.c.made_at.desc()).limit(1)
        )
        return self._made(rows)[0].record if rows else None

    async def outbox(self, limit: int) -> list[Made]:
        """Return records that are still to be published, in the order in which they were made.

        What is made for our own log is in it at once.
        """
        is_due: ColumnElement[bool] = identity_records.c.anchored_at.is_(None)
        if self._ledger == "log":
            is_due = is_due & identity_records.c.place.is_(None)
        query = select(identity_records).where(is_due)
        order = (identity_records.c.made_at, identity_records.c.subject, identity_records.c.sequence)
        return self._made(
            await self._database.read("look for what is not anchored", query.order_by(*order).limit(limit))
        )

    async def waiting(self) -> tuple[int, float | None]:
        """Return how many records are not known to be final, and when the first of them was made (Unix seconds)."""
        query = select(func.count().label("many"), func.min(identity_records.c.made_at).label("first"))
        found = await self._database.read(
            "count what is not anchored", query.where(identity_records.c.anchored_at.is_(None))
        )
        return int(found[0].many), found[0].first

    async def withdraw(self, name: str) -> None:
        """Forget a record, by its hash, that its ledger does not take, for another came first.

        A device that is revoked is noted for another revocation, which follows what came first. On our own log a record
        stays: what is logged is logged.
        """
        is_it = (identity_records.c.hash == name) & identity_records.c.place.is_(None)

        async def _withdraw(connection: AsyncConnection) -> None:
            subject = (await connection.execute(select(identity_records.c.subject).where(is_it))).scalar()
            if subject is not None:
                await connection.execute(delete(identity_records).where(is_it))
                await note_pending(connection, subject)

        await self._database.write("withdraw a record", _withdraw)

    @property
    def _ledger(self) -> str:
        return "log" if self.author is None else self.author.ledger

    async def _known_or_registered(self, connection: AsyncConnection, author: Author, device: str) -> Identity | None:
        """Return what is known of a device; of one without a record, after making it. None where there is none."""
        known = await known_in(connection, author.ledger, device)
        if known is not None:
            return known
        row = (await connection.execute(select(devices.c.key_x, devices.c.key_y).where(devices.c.id == device))).first()
        if row is None:
            return None
        signed = author.registers(device, PublicKey(kty="EC", crv="P-256", x=row.key_x, y=row.key_y))
        await self._write(connection, author, signed)
        return identity_of(signed.read())

    async def _write(
        self, connection: AsyncConnection, author: Author, signed: SignedRecord, made_at: float | None = None
    ) -> None:
        record = signed.read()
        made_at = record.statement.time_ms / 1000 if made_at is None else made_at
        if not await insert_record(connection, record, made_at, on_log=author.ledger == "log"):
            said = record.statement
            raise RecordRefused("out_of_sequence", f"record {said.sequence} of {said.subject} was made already")

    def _made(self, rows: Sequence[Row[Any]]) -> list[Made]:
        with self._database.understanding("read identity records"):
            return [
                Made(
                    record=SignedRecord.model_validate_json(row.document),
                    made_at=row.made_at,
                    number=row.number,
                    place=row.place,
                    anchored_at=row.anchored_at,
                )
                for row in rows
            ]


async def note_pending(connection: AsyncConnection, device: str) -> None:
    """Note within a transaction that a device's record is still to be made."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    await connection.execute(dialect.insert(identity_pending).values(device=device).on_conflict_do_nothing())


async def is_retired(connection: AsyncConnection, mark: str) -> bool:
    """Whether some device had the key of a thumbprint before."""
    return (
        await connection.execute(select(device_keys.c.device).where(device_keys.c.thumbprint == mark))
    ).first() is not None


async def _require_new(connection: AsyncConnection, mark: str) -> None:
    """Return if nobody has or had the key of a thumbprint.

    Raises:
        RecordRefused: somebody has, or had.
    """
    has_it = (await connection.execute(select(devices.c.id).where(devices.c.key_thumbprint == mark))).first()
    if has_it is not None or await is_retired(connection, mark):
        raise RecordRefused("key_known", "that key is, or was, a device's already: make a new one")
