"""Signing keys: their private parts sealed, their rows shared by every replica."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row, Select, delete, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.keys import KeptKey, KeyChange
from controlplane.storage.database import Database
from controlplane.storage.revocations import write_notice
from controlplane.storage.tables_capabilities import signing_keys as keys


class SigningKeys:
    """The table of signing keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[KeptKey]:
        """Return every key, in the order in which they sign."""
        return [_key(row) for row in await self._database.read("read the signing keys", _in_order())]

    async def change(self, decide: Callable[[Sequence[KeptKey]], KeyChange]) -> list[KeptKey]:
        """Let ``decide`` see every key and write what it returns, in one transaction, one replica at a time.

        So replicas that want the same change at once agree: the second sees what the first one wrote.

        Returns:
            The keys afterwards.
        """

        async def _change(connection: AsyncConnection) -> list[KeptKey]:
            if connection.dialect.name == "postgresql":
                # Readers go on; who wants to change waits. SQLite has one writer at a time anyway.
                await connection.execute(text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))
            change = decide([_key(row) for row in (await connection.execute(_in_order())).all()])
            for key in change.put:
                await _put(connection, key)
            if change.forget:
                await connection.execute(delete(keys).where(keys.c.kid.in_(change.forget)))
            await write_notice(connection, change.notice)
            return [_key(row) for row in (await connection.execute(_in_order())).all()]

        return await self._database.write("change the signing keys", _change)


def _in_order() -> Select[Any]:
    return select(keys).order_by(keys.c.signs_from, keys.c.created_at, keys.c.kid)


async def _put(connection: AsyncConnection, key: KeptKey) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    values = {
        "kid": key.kid,
        "key_x": key.x,
        "key_y": key.y,
        "sealed": key.sealed,
        "created_at": key.created_at,
        "signs_from": key.signs_from,
        "withdrawn_at": key.withdrawn_at,
    }
    changed = {name: values[name] for name in ("sealed", "signs_from", "withdrawn_at")}
    statement = dialect.insert(keys).values(values).on_conflict_do_update(index_elements=[keys.c.kid], set_=changed)
    await connection.execute(statement)


def _key(row: Row[Any]) -> KeptKey:
    return KeptKey(
        kid=row.kid,
        x=row.key_x,
        y=row.key_y,
        sealed=row.sealed,
        created_at=row.created_at,
        signs_from=row.signs_from,
        withdrawn_at=row.withdrawn_at,
    )
