"""Registered devices."""

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Column, Row, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.events import Notice
from controlplane.contracts.identity import Attestation, Device, DeviceStatus, PublicKey, Trust
from controlplane.contracts.trusthistory import TrustHistory
from controlplane.storage.behaviour import hold, renew
from controlplane.storage.database import Database
from controlplane.storage.errors import StoreUnavailable
from controlplane.storage.identities import Identities, is_retired, note_pending
from controlplane.storage.lookups import Coalesced
from controlplane.storage.revocations import write_notice
from controlplane.storage.tables import devices

MAX_PAGE = 1000


class Devices:
    """The table of devices."""

    def __init__(self, database: Database, records: Identities | None = None) -> None:
        self._database = database
        self._records = records
        self._by_id = Coalesced(partial(self._look, devices.c.id))
        self._by_thumbprint = Coalesced(partial(self._look, devices.c.key_thumbprint))

    async def add(self, device: Device) -> bool:
        """Keep a new device; false when its id or its key is taken, or some device had that key before."""
        return await self._database.write("register a device", lambda to: insert_device(to, device, self._records))

    async def get(self, device_id: str) -> Device | None:
        """Return a device by id, or none."""
        return _whole(await self._by_id.get(device_id)) if is_identifier(device_id) else None

    async def by_thumbprint(self, thumbprint: str) -> Device | None:
        """Return a device by its key's thumbprint, or none."""
        return _whole(await self._by_thumbprint.get(thumbprint))

    async def set_status(
        self, device_id: str, status: DeviceStatus, notice: Notice | None = None, newcomer: Trust | None = None
    ) -> bool:
        """Set a device's status, as a person does, and write ``notice`` in one transaction.

        The behaviour of one that is let back counts from the beginning: by what set it apart, the next observation
        would set it apart again. One that is set apart is so until a person lets it back.

        Args:
            device_id: which.
            status: that it is to have.
            notice: of the change.
            newcomer: trust of one of which nothing is known; none leaves what it has to one that is let back.

        Returns:
            False, with nothing changed, when there is no such device, or it is revoked and would be no more.
        """
        found = select(devices.c.status).where(devices.c.id == device_id).with_for_update()
        begun = time.monotonic()

        async def _set(connection: AsyncConnection) -> bool:
            was = (await connection.execute(found)).scalar()
            if was is None or (was == "revoked" and status != "revoked"):
                return False
            changes: dict[str, Any] = {"status": status}
            if status == "active" and was == "quarantined":
                if newcomer is not None:
                    changes |= {
                        "trust_score": newcomer.score,
                        "trust_observations": newcomer.observations,
                        "trust_history": None,
                    }
                await renew(connection, device_id)
            elif status != "active":
                await hold(connection, device_id)
            await connection.execute(update(devices).where(devices.c.id == device_id).values(changes))
            if notice is not None:
                await write_notice(connection, notice, begun)
            if status == "revoked" and was != "revoked":
                await _record_revoked(connection, device_id, self._records)
            return True

        return await self._database.write("change a device's status", _set)

    async def has_role(self, role: str) -> bool:
        """Whether anybody was ever enrolled with a role, whatever their status."""
        statement = select(devices.c.id).where(devices.c.roles.contains(json.dumps(role), autoescape=True)).limit(1)
        return bool(await self._database.read("look for a role", statement))

    async def page(self, after: str = "", limit: int = 100) -> list[Device]:
        """Return up to ``limit`` devices (at most 1000) whose id comes after ``after``, in order of id."""
        query = select(devices).where(devices.c.id > after).order_by(devices.c.id)
        rows = await self._database.read("list devices", query.limit(min(max(limit, 1), MAX_PAGE)))
        with self._database.understanding("list devices"):
            return [as_device(row) for row in rows]

    async def _look(self, column: Column[str], keys: Sequence[str]) -> dict[str, Device | StoreUnavailable]:
        rows = await self._database.read("look up devices", select(devices).where(column.in_(keys)))
        return {row._mapping[column]: self._read(row) for row in rows}

    def _read(self, row: Row[Any]) -> Device | StoreUnavailable:
        """Return a device, or why its row is none: others are looked up in the same query, and theirs are."""
        try:
            with self._database.understanding("look up a device"):
                return as_device(row)
        except StoreUnavailable as error:
            return error


def _whole(found: Device | StoreUnavailable | None) -> Device | None:
    if isinstance(found, StoreUnavailable):
        raise found
    return found


async def insert_device(connection: AsyncConnection, device: Device, records: Identities | None = None) -> bool:
    """Insert a device within a transaction, and write its record.

    Args:
        connection: of the transaction.
        device: the new one.
        records: writes its record; where there are none, it is noted for one.

    Returns:
        False, with nothing changed, when its id or its key is taken, some device had that key before, or the ledger has
        it as revoked.
    """
    if await is_retired(connection, device.key_thumbprint):
        return False
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(devices).values(_values(device)).on_conflict_do_nothing()
    if (await connection.execute(statement)).rowcount != 1:
        return False
    if records is None:
        await note_pending(connection, device.id)
        return True
    if await records.registered(connection, device.id, device.key):
        return True
    await connection.execute(delete(devices).where(devices.c.id == device.id))
    return False


async def _record_revoked(connection: AsyncConnection, device_id: str, records: Identities | None) -> None:
    if records is None:
        await note_pending(connection, device_id)
    else:
        await records.revoked(connection, device_id)


def _values(device: Device) -> dict[str, Any]:
    return {
        "id": device.id,
        "key_thumbprint": device.key_thumbprint,
        "key_x": device.key.x,
        "key_y": device.key.y,
        "roles": json.dumps(device.roles),
        "segment": device.segment,
        "status": device.status,
        "attestation_level": device.attestation.level,
        "attestation_verified_at": device.attestation.verified_at,
        "attestation_expires_at": device.attestation.expires_at,
        "trust_score": device.trust.score,
        "trust_observations": device.trust.observations,
        "trust_history": device.trust_history and device.trust_history.model_dump_json(),
        "enrolled_at": device.enrolled_at,
    }


def as_device(row: Row[Any]) -> Device:
    """Return the device of a row."""
    return Device(
        id=row.id,
        key=PublicKey(kty="EC", crv="P-256", x=row.key_x, y=row.key_y),
        key_thumbprint=row.key_thumbprint,
        roles=json.loads(row.roles),
        segment=row.segment,
        status=row.status,
        attestation=Attestation(
            level=row.attestation_level,
            verified_at=row.attestation_verified_at,
            expires_at=row.attestation_expires_at,
        ),
        trust=Trust(score=row.trust_score, observations=row.trust_observations),
        trust_history=TrustHistory.read(row.trust_history, row.trust_score),
        enrolled_at=row.enrolled_at,
    )
