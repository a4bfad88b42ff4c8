"""Secrets that are released to attested platforms, sealed; their names alone are read without being opened."""

from typing import Any, Literal

from sqlalchemy import Row, bindparam, delete, exists, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.attested import KeptResult
from controlplane.contracts.base import is_identifier
from controlplane.contracts.identity import Device
from controlplane.contracts.secrets import KeptSecret, RegisteredSecret
from controlplane.storage.database import Database
from controlplane.storage.tables import devices
from controlplane.storage.tables_attestation import attestations
from controlplane.storage.tables_secrets import released_secrets as table

_TURN = text("SELECT pg_advisory_xact_lock(8419)")
"""Of several replicas, one at a time counts and adds; SQLite has one writer anyway."""

_KNOWN = [table.c[name] for name in RegisteredSecret.model_fields]


_STANDS = exists().where(
    devices.c.id == bindparam("device"),
    *(devices.c[name] == bindparam(name) for name in ("key_thumbprint", "status")),
)
_COUNTS = exists().where(
    attestations.c.expires_at > bindparam("now"),
    *(attestations.c[name] == bindparam(name) for name in ("device", "kind", "decision_id", "level", "release_key")),
)
# Put together once: it is on the path of every release.
_STILL = select(table).where(table.c.id == bindparam("secret"), _STANDS, _COUNTS)


class ReleasedSecrets:
    """The table of released secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, kept: KeptSecret, most: int) -> Literal["kept", "known", "full"]:
        """Keep a secret, unless there is one of its name, or so many already."""
        registered = kept.registered
        named = select(table.c.id).where(table.c.id == registered.id)
        counted = select(func.count()).select_from(table)

        async def _add(connection: AsyncConnection) -> Literal["kept", "known", "full"]:
            if connection.dialect.name == "postgresql":
                await connection.execute(_TURN)
            if (await connection.execute(named)).first() is not None:
                return "known"
            if (await connection.execute(counted)).scalar_one() >= most:
                return "full"
            await connection.execute(insert(table).values(**registered.model_dump(), sealed=kept.sealed))
            return "kept"

        return await self._database.write("keep a secret", _add)

    async def get(self, secret_id: str) -> KeptSecret | None:
        """Return a secret, or none."""
        if not is_identifier(secret_id):
            return None
        query = select(table).where(table.c.id == secret_id)
        with self._database.understanding("look up a secret"):
            rows = await self._database.read("look up a secret", query)
            return KeptSecret(_registered(rows[0]), rows[0].sealed) if rows else None

    async def still(self, secret_id: str, device: Device, result: KeptResult, now: float) -> KeptSecret | None:
        """Return a secret while all that its release was decided on holds; read at once, so that it holds together.

        Args:
            secret_id: its name.
            device: that asks, as it was known when that was decided.
            result: of the evidence that binds the key to seal to.
            now: Unix seconds.

        Returns:
            None where the secret was withdrawn, the device has another status or key by now, or that evidence no longer
            counts.
        """
        decided_on = {
            "secret": secret_id,
            "device": device.id,
            "key_thumbprint": device.key_thumbprint,
            "status": device.status,
            "kind": result.kind,
            "decision_id": result.decision_id,
            "level": result.level,
            "release_key": None if result.release_key is None else result.release_key.key,
            "now": now,
        }
        query = _STILL.params(decided_on)
        with self._database.understanding("look up a secret"):
            rows = await self._database.read("look up a secret that is released", query)
            return KeptSecret(_registered(rows[0]), rows[0].sealed) if rows else None

    async def all(self) -> list[RegisteredSecret]:
        """Return what is known of each, by name."""
        query = select(*_KNOWN).order_by(table.c.id)
        with self._database.understanding("list secrets"):
            return [_registered(row) for row in await self._database.read("list secrets", query)]

    async def remove(self, secret_id: str) -> bool:
        """Forget a secret for good; false when there is none of that name."""
        statement = delete(table).where(table.c.id == secret_id)
        return await self._database.change("withdraw a secret", statement) == 1


def _registered(row: Row[Any]) -> RegisteredSecret:
    return RegisteredSecret(**{name: row._mapping[name] for name in RegisteredSecret.model_fields})
