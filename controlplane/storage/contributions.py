"""Whose updates went into which round's model, as long as they can be taken out again."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.rollback import Contribution
from controlplane.storage.database import Database
from controlplane.storage.tables_rounds import contributions, rounds

MAX_LISTED = 10_000


class First(NamedTuple):
    """The round with which a subject's contributions to an aggregator's rounds of a model begin.

    Attributes:
        aggregator: that opened it.
        round_id: which.
        opens_at: when it opened, Unix seconds.
    """

    aggregator: str
    round_id: str
    opens_at: float


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


async def contributing_since(connection: AsyncConnection, subjects: Collection[str], round_id: str) -> list[str]:
    """Return those of some subjects that contributed to a round, or to a later one of its model and aggregator.

    Within a transaction: what that has added counts.
    """
    since = rounds.alias("since")
    is_theirs = (since.c.model == rounds.c.model) & (since.c.opened_by == rounds.c.opened_by)
    query = (
        select(contributions.c.subject)
        .distinct()
        .join(rounds, rounds.c.id == contributions.c.round_id)
        .join(since, is_theirs & (rounds.c.opens_at >= since.c.opens_at))
        .where((since.c.id == round_id) & contributions.c.subject.in_(subjects))
    )
    return sorted((await connection.execute(query)).scalars().all())


async def firsts_of(
    connection: AsyncConnection, subjects: Collection[str], model: str, latest: int
) -> dict[str, list[First]]:
    """Return with which of each aggregator's latest rounds subjects' contributions begin, within a transaction.

    Args:
        connection: of the transaction; what it has added counts.
        subjects: whose contributions; who contributed to none of these rounds is absent.
        model: which.
        latest: so many rounds of each aggregator are looked at, of those that anybody contributed to.

    Returns:
        By subject, the first round of each aggregator, by its name.
    """
    had_any = exists().where(contributions.c.round_id == rounds.c.id)
    age = func.row_number().over(
        partition_by=rounds.c.opened_by, order_by=(rounds.c.opens_at.desc(), rounds.c.id.desc())
    )
    aged = (
        select(rounds.c.id, rounds.c.opened_by, rounds.c.opens_at, age.label("age"))
        .where((rounds.c.model == model) & had_any)
        .subquery()
    )
    newest = select(aged).where(aged.c.age <= latest).subquery()
    place = func.row_number().over(
        partition_by=(contributions.c.subject, newest.c.opened_by), order_by=(newest.c.opens_at, newest.c.id)
    )
    theirs = (
        select(contributions.c.subject, newest, place.label("place"))
        .join(newest, contributions.c.round_id == newest.c.id)
        .where(contributions.c.subject.in_(subjects))
        .subquery()
    )
    query = select(theirs).where(theirs.c.place == 1).order_by(theirs.c.subject, theirs.c.opened_by)
    found: dict[str, list[First]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.subject, []).append(First(row.opened_by, row.id, row.opens_at))
    return found
