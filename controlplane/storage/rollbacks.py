"""Orders to rebuild a model: given once for a subject and a model while they are outstanding, and ended once."""

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, and_, case, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.rollback import Rollback, RollbackResult, RollbackState
from controlplane.storage.database import Database
from controlplane.storage.tables import contributions, rollbacks, rounds

MOST_OUTSTANDING = 1000
"""Orders for one model that are not done; while there are so many, no more are given."""

MOST_AT_ONCE = 64
"""Orders that an aggregator is told of in one answer; the others wait for the next."""

MAX_PAGE = 1000

_LOCK = text("SELECT pg_advisory_xact_lock(8418, hashtext(:model))")
"""Two replicas give orders for a model one after the other, so that each sees what is outstanding."""


class Ordered(NamedTuple):
    """What became of an order that was asked for.

    Attributes:
        rollback: the one that is outstanding now and covers it; none when too many are outstanding.
        is_new: it was not outstanding before.
    """

    rollback: Rollback | None
    is_new: bool


class Reached(NamedTuple):
    """What a rollback reaches.

    Attributes:
        rounds: that are done again, in order.
        left_out: updates that are left out.
        kept: updates that are applied again.
    """

    rounds: list[str]
    left_out: int
    kept: int


class Waiting(NamedTuple):
    """Orders that are not done.

    Attributes:
        orders: how many.
        oldest_at: when the oldest was given, Unix seconds; none when there is none.
    """

    orders: int
    oldest_at: float | None


class Rollbacks:
    """The table of rollbacks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def order(self, wanted: Rollback) -> Ordered:
        """Keep an order, or what of it is not outstanding yet.

        A subject that an outstanding order for the model leaves out since the same round or an earlier one is left
        out already. When all that remain are those of one such order from a later round on, that begins earlier now.
        """

        async def _order(connection: AsyncConnection) -> Ordered:
            if self._database.kind == "postgresql":
                await connection.execute(_LOCK, {"model": wanted.model})
            since = await _opened_at(connection, wanted.round_id)
            found = await _outstanding(connection, wanted.model)
            covering = [(row, set(json.loads(row.subjects))) for row in found if row.opens_at <= since]
            remaining = sorted(set(wanted.subjects).difference(*(subjects for _, subjects in covering)))
            if not remaining:
                first = next(row for row, subjects in covering if subjects & set(wanted.subjects))
                return Ordered(_rollback(first), is_new=False)
            same = next((row for row in found if json.loads(row.subjects) == remaining), None)
            if same is not None:
                return Ordered(await _widened(connection, same, wanted), is_new=False)
            if len(found) >= MOST_OUTSTANDING:
                return Ordered(None, is_new=False)
            given = wanted.model_copy(update={"subjects": remaining})
            await connection.execute(insert(rollbacks).values(_values(given)))
            return Ordered(given, is_new=True)

        with self._database.understanding("order a rollback"):
            return await self._database.write("order a rollback", _order)

    async def outstanding(self, model: str, aggregator: str | None = None) -> list[Rollback]:
        """Return what is ordered for a model and not done, oldest first, as much as is told at once.

        Args:
            model: which.
            aggregator: orders that begin with a round that this one opened; none for any.
        """
        query = _of_model(model)
        if aggregator is not None:
            query = query.where(rounds.c.opened_by == aggregator)
        with self._database.understanding("look for rollbacks"):
            rows = await self._database.read("look for rollbacks", query.limit(MOST_AT_ONCE))
            return [_rollback(row) for row in rows]

    async def get(self, rollback_id: str) -> Rollback | None:
        """Return an order, or none."""
        if not is_identifier(rollback_id):
            return None
        with self._database.understanding("look up a rollback"):
            rows = await self._database.read(
                "look up a rollback", select(rollbacks).where(rollbacks.c.id == rollback_id)
            )
            return _rollback(rows[0]) if rows else None

    async def end(self, rollback_id: str, result: RollbackResult, now: float) -> bool:
        """Keep what became of an order; false when none is outstanding that begins with the round that it names."""
        is_it = (rollbacks.c.id == rollback_id) & (rollbacks.c.round_id == result.round_id) & _IS_OUTSTANDING
        values = {**result.model_dump(exclude={"round_id"}), "ended_at": now}
        return await self._database.change("end a rollback", update(rollbacks).where(is_it).values(values)) == 1

    async def page(
        self, model: str | None = None, state: RollbackState | None = None, limit: int = 100
    ) -> list[Rollback]:
        """Return up to ``limit`` orders (at most 1000), newest first.

        Args:
            model: for this one alone.
            state: in this state alone.
            limit: how many.
        """
        wanted = [rollbacks.c[name] == value for name, value in (("model", model), ("state", state)) if value]
        query = (
            select(rollbacks).where(and_(True, *wanted)).order_by(rollbacks.c.ordered_at.desc(), rollbacks.c.id.desc())
        )
        with self._database.understanding("list rollbacks"):
            rows = await self._database.read("list rollbacks", query.limit(min(max(limit, 1), MAX_PAGE)))
            return [_rollback(row) for row in rows]

    async def reached(self, subjects: Collection[str], round_id: str) -> Reached:
        """Return what an order would reach that begins with a round and leaves some subjects out."""
        asked = select(rounds.c.model, rounds.c.opens_at).where(rounds.c.id == round_id).subquery()
        is_theirs = case((contributions.c.subject.in_(subjects), 1), else_=0)
        query = (
            select(rounds.c.id, func.count().label("updates"), func.sum(is_theirs).label("theirs"))
            .join(asked, (rounds.c.model == asked.c.model) & (rounds.c.opens_at >= asked.c.opens_at))
            .join(contributions, contributions.c.round_id == rounds.c.id)
            .group_by(rounds.c.id, rounds.c.opens_at)
            .order_by(rounds.c.opens_at, rounds.c.id)
        )
        rows = await self._database.read("look up what a rollback reaches", query)
        first = next((place for place, row in enumerate(rows) if row.theirs), len(rows))
        left_out = sum(row.theirs for row in rows)
        return Reached([row.id for row in rows[first:]], left_out, sum(row.updates for row in rows[first:]) - left_out)

    async def waiting(self) -> Waiting:
        """Return how many orders are not done, and since when the oldest waits."""
        query = select(func.count().label("orders"), func.min(rollbacks.c.ordered_at).label("oldest_at")).where(
            _IS_OUTSTANDING
        )
        found = (await self._database.read("look for rollbacks that wait", query))[0]
        return Waiting(found.orders, found.oldest_at)

    async def purge(self, before: float) -> int:
        """Forget the orders that ended before ``before`` (Unix seconds); return how many."""
        is_over = ~_IS_OUTSTANDING & (rollbacks.c.ended_at < before)
        return await self._database.change("forget old rollbacks", delete(rollbacks).where(is_over))


_IS_OUTSTANDING: ColumnElement[bool] = rollbacks.c.state == "ordered"


def _of_model(model: str) -> Any:
    of = rollbacks.c
    return (
        select(rollbacks, rounds.c.opens_at)
        .join(rounds, rounds.c.id == of.round_id)
        .where((of.model == model) & _IS_OUTSTANDING)
        .order_by(of.ordered_at, of.id)
    )


async def _opened_at(connection: AsyncConnection, round_id: str) -> float:
    return float((await connection.execute(select(rounds.c.opens_at).where(rounds.c.id == round_id))).scalar_one())


async def _outstanding(connection: AsyncConnection, model: str) -> Sequence[Row[Any]]:
    return (await connection.execute(_of_model(model).limit(MOST_OUTSTANDING))).all()


async def _widened(connection: AsyncConnection, found: Row[Any], wanted: Rollback) -> Rollback:
    changed = {"round_id": wanted.round_id, "decision_id": wanted.decision_id}
    await connection.execute(update(rollbacks).where(rollbacks.c.id == found.id).values(changed))
    return _rollback(found).model_copy(update=changed)


def _values(rollback: Rollback) -> dict[str, Any]:
    return {**rollback.model_dump(), "subjects": json.dumps(sorted(rollback.subjects))}


def _rollback(row: Row[Any]) -> Rollback:
    fields = {name: value for name, value in row._mapping.items() if name in Rollback.model_fields}
    return Rollback(**{**fields, "subjects": json.loads(row.subjects)})
