"""Orders to rebuild a model: given once for a subject and a model while they are outstanding, and ended once."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import and_, case, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.rollback import Rollback, RollbackResult, RollbackState
from controlplane.contracts.rounds import Round
from controlplane.storage.database import Database
from controlplane.storage.tables_rounds import contributions, rollbacks, rounds
from controlplane.storage.undoing import IS_OUTSTANDING, Ordered, as_rollback, give_order, outstanding_of

MOST_AT_ONCE = 64
"""Orders that an aggregator is told of in one answer; the others wait for the next."""

MOST_SUBJECTS_AT_ONCE = 5000
"""Subjects that all orders of one answer name together: about 650 kB of it, which holds the verdicts too."""

MAX_PAGE = 1000

MOST_SUBJECTS_LISTED = 40_000
"""Subjects that a list of orders names together, for the same reason; what is older is left out."""

OTHER_WEIGHTS = "the next round did not begin with the weights that were stated"
"""Why an order that was said to be done has failed."""


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

    async def order(self, wanted: Rollback) -> Ordered | None:
        """Keep an order to the aggregator that opened its first round, or what of it is not outstanding yet.

        It is about the rounds of that aggregator alone, and names those of its subjects that contributed to them. A
        subject that an outstanding order to it for the model leaves out since the same round or an earlier one is left
        out already. When all that remain are those of one such order from a later round on, that begins earlier now.

        Returns:
            What became of it; none, with nothing kept, where none of its subjects contributed.
        """

        async def _order(connection: AsyncConnection) -> Ordered | None:
            return await give_order(connection, wanted)

        with self._database.understanding("order a rollback"):
            return await self._database.write("order a rollback", _order)

    async def outstanding(self, model: str, aggregator: str | None = None) -> list[Rollback]:
        """Return what is ordered for a model and not done, oldest first, as much as is told at once.

        Args:
            model: which.
            aggregator: orders that begin with a round that this one opened; none for any.
        """
        query = outstanding_of(model, aggregator).limit(MOST_AT_ONCE)
        with self._database.understanding("look for rollbacks"):
            rows = await self._database.read("look for rollbacks", query)
            return _as_fit(map(as_rollback, rows), MOST_SUBJECTS_AT_ONCE)

    async def done_between(self, model: str, since: float, until: float) -> list[Rollback]:
        """Return the orders of a model that were carried out within a time (Unix seconds), in order."""
        is_within = (rollbacks.c.ended_at >= since) & (rollbacks.c.ended_at <= until) & (rollbacks.c.state == "done")
        query = select(rollbacks).where((rollbacks.c.model == model) & is_within).order_by(rollbacks.c.ended_at)
        with self._database.understanding("look up rollbacks"):
            rows = await self._database.read("look up rollbacks", query.limit(MOST_AT_ONCE))
            return [as_rollback(row) for row in rows]

    async def get(self, rollback_id: str) -> Rollback | None:
        """Return an order, or none."""
        if not is_identifier(rollback_id):
            return None
        with self._database.understanding("look up a rollback"):
            rows = await self._database.read(
                "look up a rollback", select(rollbacks).where(rollbacks.c.id == rollback_id)
            )
            return as_rollback(rows[0]) if rows else None

    async def end(self, rollback_id: str, result: RollbackResult, now: float) -> bool:
        """Keep what became of an order; false when none is outstanding that begins with the round that it names."""
        is_it = (rollbacks.c.id == rollback_id) & (rollbacks.c.round_id == result.round_id) & IS_OUTSTANDING
        values = {**result.model_dump(exclude={"round_id"}), "ended_at": now}
        return await self._database.change("end a rollback", update(rollbacks).where(is_it).values(values)) == 1

    async def contradict(self, opened: Round) -> list[str]:
        """Have orders failed that were said to be done, but whose weights no round has begun with; return which.

        They are those for the round's model to the aggregator that opened it, which ended before it was opened. Whoever
        carries one out goes on with the weights that it states, so the next round begins with them.
        """
        theirs = (rounds.c.model == opened.model) & (rounds.c.opened_by == opened.opened_by)
        began = exists().where(
            theirs & (rounds.c.opens_at >= rollbacks.c.ordered_at) & (rounds.c.model_digest == rollbacks.c.model_digest)
        )
        is_said = (rollbacks.c.state == "done") & (rollbacks.c.ended_at <= opened.opens_at)
        is_wrong = (
            is_said & (rollbacks.c.model == opened.model) & rollbacks.c.round_id.in_(select(rounds.c.id).where(theirs))
        )
        statement = (
            update(rollbacks)
            .where(is_wrong & ~began)
            .values(state="failed", fault=OTHER_WEIGHTS)
            .returning(rollbacks.c.id)
        )

        async def _contradict(connection: AsyncConnection) -> list[str]:
            return sorted((await connection.execute(statement)).scalars().all())

        return await self._database.write("compare rollbacks with a round", _contradict)

    async def page(
        self, model: str | None = None, state: RollbackState | None = None, limit: int = 100
    ) -> list[Rollback]:
        """Return up to ``limit`` orders (at most 1000), newest first; fewer where they name very many subjects.

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
            return _as_fit(map(as_rollback, rows), MOST_SUBJECTS_LISTED)

    async def reached(self, subjects: Collection[str], round_id: str) -> Reached:
        """Return what an order would reach that begins with a round and leaves some subjects out."""
        asked = select(rounds.c.model, rounds.c.opened_by, rounds.c.opens_at).where(rounds.c.id == round_id).subquery()
        is_later = (rounds.c.model == asked.c.model) & (rounds.c.opens_at >= asked.c.opens_at)
        is_theirs = case((contributions.c.subject.in_(subjects), 1), else_=0)
        query = (
            select(rounds.c.id, func.count().label("updates"), func.sum(is_theirs).label("theirs"))
            .join(asked, is_later & (rounds.c.opened_by == asked.c.opened_by))
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
            IS_OUTSTANDING
        )
        found = (await self._database.read("look for rollbacks that wait", query))[0]
        return Waiting(found.orders, found.oldest_at)

    async def purge(self, before: float) -> int:
        """Forget the orders that ended before ``before`` (Unix seconds); return how many."""
        is_over = ~IS_OUTSTANDING & (rollbacks.c.ended_at < before)
        return await self._database.change("forget old rollbacks", delete(rollbacks).where(is_over))


def _as_fit(found: Iterable[Rollback], most: int) -> list[Rollback]:
    """Return the first orders, as many as name so many subjects together, and the first whatever it names."""
    fitting: list[Rollback] = []
    named = 0
    for one in found:
        named += len(one.subjects)
        if named > most and fitting:
            break
        fitting.append(one)
    return fitting
