"""Give orders to rebuild a model within a transaction: one for a subject, a model and an aggregator while it waits."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.rollback import Rollback
from controlplane.storage.contributions import First, contributing_since, firsts_of
from controlplane.storage.tables_rounds import rollbacks, rounds

MOST_OUTSTANDING = 1000
"""Orders to one aggregator for one model that are not done; while there are so many, no more are given."""

IS_OUTSTANDING: ColumnElement[bool] = rollbacks.c.state == "ordered"

# Sorted by what is locked and not by name, of which two can share a key: nobody waits in a ring.
_LOCK = text("""
    SELECT pg_advisory_xact_lock(8418, key) FROM (
        SELECT DISTINCT hashtext(model) AS key FROM json_array_elements_text(CAST(:models AS json)) AS model
        ORDER BY key
    ) AS keys
""")


class Undoing(NamedTuple):
    """Orders as they are asked for, of what a subject contributed to a model's latest rounds.

    Each aggregator whose rounds it contributed to is ordered by itself. With which round an order begins is found as
    it is given.

    Attributes:
        id: of the order to the first aggregator by name; those to others have a number after it.
        model: which.
        latest: so many rounds of each aggregator, of those that anybody contributed to.
        subject: whose updates are left out.
        reason: why.
        ordered_by: a person or service, or ``policy``.
        ordered_at: Unix seconds.
        decision_id: of the decision that asks for it.
    """

    id: str
    model: str
    latest: int
    subject: str
    reason: str
    ordered_by: str
    ordered_at: float
    decision_id: str


class Ordered(NamedTuple):
    """What became of an order that was asked for.

    Attributes:
        rollback: the one that is outstanding now and covers it; none when too many are outstanding.
        is_new: it was not outstanding before.
    """

    rollback: Rollback | None
    is_new: bool


async def give_orders(connection: AsyncConnection, wanted: Sequence[Undoing]) -> list[tuple[Ordered, ...]]:
    """Give orders within a transaction, as `Rollbacks.order` does; what it has added to contributions counts.

    Whoever also locks subjects does so before.

    Returns:
        What became of each, by aggregator; nothing where the subject contributed to none of these rounds.

    Raises:
        ValueError, TypeError: an outstanding order is nothing that we write.
    """
    if not wanted:
        return []
    await _take_turn(connection, {one.model for one in wanted})
    firsts = {
        (model, latest): await firsts_of(connection, subjects, model, latest)
        for (model, latest), subjects in _subjects(wanted).items()
    }
    books: dict[tuple[str, str], _Book] = {}
    ordered = []
    for one in wanted:
        given = []
        for number, first in enumerate(firsts[one.model, one.latest].get(one.subject, ())):
            whose = one.model, first.aggregator
            if whose not in books:
                books[whose] = await _book(connection, *whose)
            given.append(await books[whose].give(_beginning(one, first, number), first.opens_at))
        ordered.append(tuple(given))
    for book in books.values():
        await book.write()
    return ordered


async def give_order(connection: AsyncConnection, wanted: Rollback) -> Ordered | None:
    """Give one order within a transaction, as `Rollbacks.order` does.

    Returns:
        What became of it; none where none of its subjects contributed to these rounds.

    Raises:
        ValueError, TypeError: an outstanding order is nothing that we write.
    """
    await _take_turn(connection, [wanted.model])
    found = await connection.execute(
        select(rounds.c.opened_by, rounds.c.opens_at).where(rounds.c.id == wanted.round_id)
    )
    aggregator, since = found.one()
    # Names that contributed nothing would only make what is handed out with every round larger.
    subjects = await contributing_since(connection, wanted.subjects, wanted.round_id)
    if not subjects:
        return None
    book = await _book(connection, wanted.model, aggregator)
    ordered = await book.give(wanted.model_copy(update={"subjects": subjects}), since)
    await book.write()
    return ordered


def outstanding_of(model: str, aggregator: str | None = None) -> Any:
    """Return the query for what is outstanding for a model, oldest first, with when its first round opened.

    Args:
        model: which.
        aggregator: orders that begin with a round that this one opened; none for any.
    """
    of = rollbacks.c
    query = select(rollbacks, rounds.c.opens_at).join(rounds, rounds.c.id == of.round_id)
    is_theirs = (of.model == model) & IS_OUTSTANDING
    if aggregator is not None:
        is_theirs &= rounds.c.opened_by == aggregator
    return query.where(is_theirs).order_by(of.ordered_at, of.id)


def as_rollback(row: Row[Any]) -> Rollback:
    """Return the order that a row of the table is.

    Raises:
        ValueError, TypeError: it is nothing that we write.
    """
    fields = {name: value for name, value in row._mapping.items() if name in Rollback.model_fields}
    return Rollback(**{**fields, "subjects": json.loads(row.subjects)})


async def _take_turn(connection: AsyncConnection, models: Collection[str]) -> None:
    # Two replicas give orders for a model one after the other, so that each sees what is outstanding.
    if connection.dialect.name == "postgresql":
        await connection.execute(_LOCK, {"models": json.dumps(list(models))})


def _subjects(wanted: Sequence[Undoing]) -> dict[tuple[str, int], list[str]]:
    found: dict[tuple[str, int], list[str]] = {}
    for one in wanted:
        found.setdefault((one.model, one.latest), []).append(one.subject)
    return found


def _beginning(wanted: Undoing, first: First, number: int) -> Rollback:
    return Rollback(
        id=f"{wanted.id}-{number + 1}" if number else wanted.id,
        model=wanted.model,
        round_id=first.round_id,
        subjects=[wanted.subject],
        reason=wanted.reason,
        ordered_by=wanted.ordered_by,
        ordered_at=wanted.ordered_at,
        decision_id=wanted.decision_id,
        state="ordered",
    )


@dataclass(slots=True)
class _Open:
    """An order that is not done: its subjects are left out of the rounds that opened at a time or later."""

    order: Rollback
    since: float
    is_written: bool
    subjects: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.subjects = frozenset(self.order.subjects)


class _Book:
    """What is outstanding for one model at one aggregator, while a transaction has its turn."""

    def __init__(self, connection: AsyncConnection, found: Sequence[Row[Any]]) -> None:
        self._connection = connection
        self._found = [_Open(as_rollback(row), row.opens_at, is_written=True) for row in found]

    async def give(self, wanted: Rollback, since: float) -> Ordered:
        """Give an order, or what of it is not outstanding, for rounds that opened at a time or later."""
        covering = [one for one in self._found if one.since <= since and not one.subjects.isdisjoint(wanted.subjects)]
        remaining = sorted(set(wanted.subjects).difference(*(one.subjects for one in covering)))
        if not remaining:
            return Ordered(covering[0].order, is_new=False)
        same = next((one for one in self._found if one.order.subjects == remaining), None)
        if same is not None and await self._widen(same, wanted, since):
            return Ordered(same.order, is_new=False)
        if len(self._found) >= MOST_OUTSTANDING:
            return Ordered(None, is_new=False)
        given = wanted.model_copy(update={"subjects": remaining})
        self._found.append(_Open(given, since, is_written=False))
        return Ordered(given, is_new=True)

    async def write(self) -> None:
        """Write what was given, all at once."""
        rows = [_values(one.order) for one in self._found if not one.is_written]
        if rows:
            await self._connection.execute(insert(rollbacks), rows)

    async def _widen(self, one: _Open, wanted: Rollback, since: float) -> bool:
        changed = {"round_id": wanted.round_id, "decision_id": wanted.decision_id}
        if one.is_written:
            # Ends take no turn: what has ended since it was found would never be carried out.
            is_it = (rollbacks.c.id == one.order.id) & IS_OUTSTANDING
            found = await self._connection.execute(update(rollbacks).where(is_it).values(changed))
            if found.rowcount != 1:
                self._found.remove(one)
                return False
        one.order, one.since = one.order.model_copy(update=changed), since
        return True


async def _book(connection: AsyncConnection, model: str, aggregator: str) -> _Book:
    query = outstanding_of(model, aggregator).limit(MOST_OUTSTANDING)
    return _Book(connection, (await connection.execute(query)).all())


def _values(rollback: Rollback) -> dict[str, Any]:
    return {**rollback.model_dump(), "subjects": json.dumps(sorted(rollback.subjects))}
