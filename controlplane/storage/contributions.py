"""Whose updates went into which round's model, as long as they can be taken out again."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.rollback import Contribution
from controlplane.storage.database import Database
from controlplane.storage.tables import contributions, rounds

MAX_LISTED = 10_000


class Contributions:
    """The table of contributions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_round(self, round_id: str) -> list[Contribution]:
        """Return the contributions to a round, by subject."""
        if not is_identifier(round_id):
            return []
        query = select(contributions).where(contributions.c.round_id == round_id).order_by(contributions.c.subject)
        rows = await self._database.read("look up contributions", query.limit(MAX_LISTED))
        return [Contribution.model_validate(dict(row._mapping)) for row in rows]

    async def of_subject(self, subject: str, model: str | None = None, limit: int = MAX_LISTED) -> list[Contribution]:
        """Return a subject's contributions, newest first: to one model or to all, so many at most."""
        if not is_identifier(subject):
            return []
        query = select(contributions).where(contributions.c.subject == subject)
        if model is not None:
            query = query.join(rounds, rounds.c.id == contributions.c.round_id).where(rounds.c.model == model)
        ordered = query.order_by(contributions.c.time.desc(), contributions.c.round_id.desc()).limit(limit)
        rows = await self._database.read("look up contributions", ordered)
        return [Contribution.model_validate(dict(row._mapping)) for row in rows]

    async def rounds_of(self, subjects: Collection[str]) -> dict[str, dict[str, int]]:
        """Return to how many rounds subjects contributed, by subject and model; who contributed to none is absent."""
        query = (
            select(contributions.c.subject, rounds.c.model, func.count().label("many"))
            .join(rounds, rounds.c.id == contributions.c.round_id)
            .where(contributions.c.subject.in_(subjects))
            .group_by(contributions.c.subject, rounds.c.model)
        )
        found: dict[str, dict[str, int]] = {}
        for row in await self._database.read("look up contributions", query):
            found.setdefault(row.subject, {})[row.model] = row.many
        return found

    async def first_of(self, subjects: Collection[str], model: str, latest: int) -> str | None:
        """Return the first of a model's latest rounds that one of some subjects contributed to, or none.

        Args:
            subjects: whose contributions.
            model: which.
            latest: so many rounds are looked at, of those that anybody contributed to.
        """
        had_any = exists().where(contributions.c.round_id == rounds.c.id)
        newest = (
            select(rounds.c.id, rounds.c.opens_at)
            .where((rounds.c.model == model) & had_any)
            .order_by(rounds.c.opens_at.desc(), rounds.c.id.desc())
            .limit(latest)
            .subquery()
        )
        query = (
            select(newest.c.id)
            .join(contributions, contributions.c.round_id == newest.c.id)
            .where(contributions.c.subject.in_(subjects))
            .order_by(newest.c.opens_at, newest.c.id)
            .limit(1)
        )
        rows = await self._database.read("look where a rollback begins", query)
        return str(rows[0].id) if rows else None

    async def first_since(self, subjects: Collection[str], round_id: str) -> str | None:
        """Return the first round, from one on and of its model, that one of some subjects contributed to, or none."""
        since = rounds.alias("since")
        query = (
            select(rounds.c.id)
            .join(contributions, contributions.c.round_id == rounds.c.id)
            .join(since, since.c.model == rounds.c.model)
            .where((since.c.id == round_id) & (rounds.c.opens_at >= since.c.opens_at))
            .where(contributions.c.subject.in_(subjects))
            .order_by(rounds.c.opens_at, rounds.c.id)
            .limit(1)
        )
        rows = await self._database.read("look where a rollback begins", query)
        return str(rows[0].id) if rows else None

    async def purge(self, before: float) -> int:
        """Forget what was contributed before a time (Unix seconds); return how much."""
        is_past = contributions.c.time < before
        return await self._database.change("forget old contributions", delete(contributions).where(is_past))


async def add_contributions(connection: AsyncConnection, added: Sequence[Contribution]) -> None:
    """Add contributions within a transaction; one that is known already stays as it is."""
    if not added:
        return
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    rows = sorted((one.model_dump() for one in added), key=lambda row: (row["round_id"], row["subject"]))
    await connection.execute(insert(contributions).on_conflict_do_nothing(), rows)
