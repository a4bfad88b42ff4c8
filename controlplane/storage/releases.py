"""Published policies: bundles once per content, and the releases that say which one is to decide."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import LargeBinary, Row, Select, bindparam, delete, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.policies import LAYERS, PolicyLayer, Release, ReleaseOrigin, digest_of
from controlplane.storage.database import Database
from controlplane.storage.log import log
from controlplane.storage.tables_policies import policy_bundles as bundles
from controlplane.storage.tables_policies import policy_releases as releases
from controlplane.storage.tables_policies import policy_shadows as shadows

KEPT = 50
"""Releases of a layer that are kept, newest first."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of a bundle that is read; none that we keep is larger."""


@dataclass(frozen=True)
class NewRelease:
    """A release that is to be added.

    Attributes:
        revision: of its bundle.
        key_id: of the key that signed it.
        published_at: Unix seconds.
        published_by: who did.
    """

    layer: PolicyLayer
    revision: str
    key_id: str
    origin: ReleaseOrigin
    published_at: float
    published_by: str


class Releases:
    """The tables of bundles and releases. The newest release of a layer is the one that is to decide."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def heads(self) -> dict[PolicyLayer, Release]:
        """Return the newest release of every layer that has one."""
        newest = select(func.max(releases.c.sequence)).where(releases.c.layer.in_(LAYERS)).group_by(releases.c.layer)
        query = select(releases).where(releases.c.sequence.in_(newest))
        return {release.layer: release for release in await self._read("read which policies are to decide", query)}

    async def recent(self, layers: Collection[PolicyLayer], limit: int = KEPT) -> list[Release]:
        """Return releases of some layers, newest first."""
        query = select(releases).where(releases.c.layer.in_(layers)).order_by(releases.c.sequence.desc()).limit(limit)
        return await self._read("read the releases", query)

    async def get(self, sequence: int) -> Release | None:
        """Return a release, or none."""
        found = await self._read("read a release", select(releases).where(releases.c.sequence == sequence))
        return found[0] if found else None

    async def body(self, digest: str) -> bytes | None:
        """Return the bundle of a digest as it was published, unverified; none when it is not kept, or too large."""
        is_it = (bundles.c.digest == digest) & (func.length(bundles.c.body) <= MAX_BODY_BYTES)
        query = select(bundles.c.body).where(is_it)
        rows = await self._database.read("read a bundle", query)
        return rows[0].body if rows and isinstance(rows[0].body, bytes) else None

    async def add(self, new: NewRelease, body: bytes, *, after: int | None = None) -> Release | None:
        """Keep a bundle and release it, both or neither.

        Args:
            new: the release.
            body: its signed bundle.
            after: sequence of the layer's release that this one is to follow, 0 for none; left out, it follows
                whatever is there.

        Returns:
            The release; none, with nothing changed, when another one than ``after`` is the newest.
        """

        async def _add(connection: AsyncConnection) -> Release | None:
            await take_turn(connection)
            if after is not None and await connection.scalar(_newest(new.layer)) != after:
                return None
            digest = await put_bundle(connection, body)
            values = {**vars(new), "digest": digest, "size_bytes": len(body)}
            inserted = await connection.execute(releases.insert().values(values).returning(releases))
            release = _release(inserted.one())
            record = release.model_dump_json().encode()
            await log(connection, "release", [(f"{release.layer}-{release.sequence}", release.published_at, record)])
            return release

        return await self._database.write("release policies", _add)

    async def purge(self, kept: int = KEPT) -> int:
        """Forget all but the newest releases of each layer, and bundles that no release and no shadow names.

        Returns:
            How many releases were forgotten.
        """
        ranks = func.row_number().over(partition_by=releases.c.layer, order_by=releases.c.sequence.desc())
        ranked = select(releases.c.sequence, ranks.label("rank")).subquery()
        is_old = releases.c.sequence.in_(select(ranked.c.sequence).where(ranked.c.rank > kept))
        is_named = bundles.c.digest.in_(select(releases.c.digest).union(select(shadows.c.digest)))

        async def _purge(connection: AsyncConnection) -> int:
            await take_turn(connection)
            forgotten = (await connection.execute(delete(releases).where(is_old))).rowcount
            await connection.execute(delete(bundles).where(~is_named))
            return forgotten

        return await self._database.write("forget old releases", _purge)

    async def _read(self, what: str, query: Select[Any]) -> list[Release]:
        with self._database.understanding(what):
            return [_release(row) for row in await self._database.read(what, query)]


async def take_turn(connection: AsyncConnection) -> None:
    """Let one transaction at a time change releases; readers go on. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("LOCK TABLE policy_releases IN SHARE ROW EXCLUSIVE MODE"))


async def put_bundle(connection: AsyncConnection, body: bytes) -> str:
    """Keep a bundle within a transaction that has its turn, once for the same bytes; return its digest.

    What lies there under its digest is replaced: it may have been spoilt.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    digest = digest_of(body)
    statement = dialect.insert(bundles).values(digest=digest, body=bindparam("body", type_=LargeBinary))
    replaced = statement.on_conflict_do_update(
        index_elements=[bundles.c.digest], set_={"body": statement.excluded.body}
    )
    await connection.execute(replaced, {"body": body})
    return digest


def _newest(layer: PolicyLayer) -> Select[Any]:
    return select(func.coalesce(func.max(releases.c.sequence), 0)).where(releases.c.layer == layer)


def _release(row: Row[Any]) -> Release:
    return Release.model_validate(dict(row._mapping))
