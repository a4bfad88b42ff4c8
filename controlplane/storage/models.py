"""Versions of models that somebody signed, the digests that they stand for, and the versions that rounds began with."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Select, and_, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.models import MAX_VERSIONS, ModelVersion, VersionDetail, VersionFile
from controlplane.contracts.rounds import Round
from controlplane.storage.database import Database
from controlplane.storage.log import log
from controlplane.storage.tables_models import model_digests as digests
from controlplane.storage.tables_models import model_versions as versions
from controlplane.storage.tables_models import round_bases as bases

TENSORS = ""
"""The name of the digest of all tensors, where files have theirs."""

_counted = digests.alias("counted")
_FILES = (
    select(func.count())
    .select_from(_counted)
    .where(
        (_counted.c.model == versions.c.model) & (_counted.c.version == versions.c.id) & (_counted.c.name != TENSORS)
    )
    .correlate(versions)
    .scalar_subquery()
    .label("files")
)
_SHOWN = [column for column in versions.c if column.name != "bundle"]


class Models:
    """The tables of versions, their digests, and rounds' bases."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = (postgresql if database.kind == "postgresql" else sqlite).insert

    async def register(self, version: ModelVersion, files: Mapping[str, str], bundle: str) -> bool:
        """Keep a version; false when it is known, whatever has become of it since.

        Args:
            version: its ``state`` is `registered`.
            files: digests by name.
            bundle: the signature.
        """
        values = {**version.model_dump(include={column.name for column in _SHOWN}), "bundle": bundle.encode()}
        named = {**files, **({TENSORS: version.tensors} if version.tensors is not None else {})}
        of = {"model": version.model, "version": version.id}
        rows = [{**of, "name": name, "digest": digest} for name, digest in named.items()]
        record = version.model_dump_json(exclude_none=True).encode()

        async def _register(connection: AsyncConnection) -> bool:
            statement = self._insert(versions).values(values).on_conflict_do_nothing()
            if (await connection.execute(statement)).rowcount != 1:
                return False
            await connection.execute(insert(digests), rows)
            await log(connection, "model", [(version.id, version.registered_at, record)])
            return True

        return await self._database.write("register a model's version", _register)

    async def withdraw(self, model: str, version: str, by: str, why: str, now: float) -> bool:
        """Withdraw a version at ``now`` (Unix seconds); false when there is none, or it was withdrawn before."""
        is_it = (versions.c.model == model) & (versions.c.id == version) & versions.c.withdrawn_at.is_(None)
        ended = {"withdrawn_at": now, "withdrawn_by": by, "withdrawn_why": why}
        record = json.dumps({"model": model, "id": version, **ended}).encode()

        async def _withdraw(connection: AsyncConnection) -> bool:
            if (await connection.execute(update(versions).where(is_it).values(ended))).rowcount != 1:
                return False
            await log(connection, "model", [(version, now, record)])
            return True

        return await self._database.write("withdraw a model's version", _withdraw)

    async def page(self, model: str | None = None, limit: int = 50) -> list[ModelVersion]:
        """Return versions, of one model or of all, the latest first; at most 200."""
        query = select(*_SHOWN, _FILES).order_by(versions.c.registered_at.desc(), versions.c.id.desc())
        if model is not None:
            query = query.where(versions.c.model == model)
        with self._database.understanding("list models' versions"):
            rows = await self._database.read("list models' versions", query.limit(min(max(limit, 1), MAX_VERSIONS)))
            return [_version(row) for row in rows]

    async def get(self, model: str, version: str) -> VersionDetail | None:
        """Return a version with all that was signed, or none."""
        if not is_identifier(model) or not is_identifier(version):
            return None
        is_it = (versions.c.model == model) & (versions.c.id == version)
        is_its = (digests.c.model == model) & (digests.c.version == version) & (digests.c.name != TENSORS)
        what = "look up a model's version"
        with self._database.understanding(what):
            found = await self._database.read(what, select(*versions.c, _FILES).where(is_it))
            if not found:
                return None
            files = await self._database.read(what, select(digests).where(is_its).order_by(digests.c.name))
            contents = [VersionFile(name=row.name, digest=row.digest) for row in files]
            stated = _version(found[0]).model_dump()
            return VersionDetail(**stated, contents=contents, bundle=found[0].bundle.decode())

    async def standing_for(self, model: str, digest: str) -> ModelVersion | None:
        """Return the version registered last, of those that were not withdrawn, which a digest stands for, or none.

        Args:
            model: its identifier.
            digest: of one of its files, or of its tensors.
        """
        return await self._first(_standing(model, digest))

    async def base_of(self, round_id: str) -> ModelVersion | None:
        """Return the version that led to a round's model, where that is known and it was not withdrawn; else none."""
        query = (
            select(*_SHOWN, _FILES)
            .join(bases, and_(bases.c.model == versions.c.model, bases.c.version == versions.c.id))
            .where((bases.c.round_id == round_id) & versions.c.withdrawn_at.is_(None))
        )
        return await self._first(query)

    async def began(self, opened: Round, before: str | None) -> None:
        """Keep with which version a round began: that whose tensors it names, else that of the round before.

        A digest of one of its files says nothing: rounds name tensors, and a text of the version is none.

        Args:
            opened: the round, which is kept: what is said of one that is not could be said of another of its id.
            before: the round of the same model and aggregator before it, or none.
        """
        found = await self._first(_standing(opened.model, opened.model_digest).where(digests.c.name == TENSORS))
        if found is None and before is not None:
            found = await self.base_of(before)
        if found is not None and found.model == opened.model:
            values = {"round_id": opened.id, "model": found.model, "version": found.id}
            statement = self._insert(bases).values(values).on_conflict_do_nothing()
            await self._database.change("keep where a round began", statement)

    async def _first(self, query: Select[Any]) -> ModelVersion | None:
        with self._database.understanding("look up a model's version"):
            rows = await self._database.read("look up a model's version", query.limit(1))
            return _version(rows[0]) if rows else None


def _standing(model: str, digest: str) -> Select[Any]:
    return (
        select(*_SHOWN, _FILES)
        .join(digests, and_(digests.c.model == versions.c.model, digests.c.version == versions.c.id))
        .where((digests.c.model == model) & (digests.c.digest == digest) & versions.c.withdrawn_at.is_(None))
        .order_by(versions.c.registered_at.desc(), versions.c.id.desc())
    )


def _version(row: Row[Any]) -> ModelVersion:
    fields = {name: value for name, value in row._mapping.items() if name in ModelVersion.model_fields}
    return ModelVersion(**fields, state="registered" if row.withdrawn_at is None else "withdrawn")
