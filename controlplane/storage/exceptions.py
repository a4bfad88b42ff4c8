"""Granted exceptions: kept whole, changed only by a revocation and by being used."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.exceptions import (
    MAX_ALIKE,
    ExceptionFact,
    ExceptionState,
    GrantedException,
    state_at,
)
from controlplane.storage.database import Database
from controlplane.storage.decisions import LAST_ID
from controlplane.storage.log import log
from controlplane.storage.tables_policies import policy_exceptions as exceptions

MAX_LIVE = 100_000
"""Exceptions that have not ended; while there are so many, no more are granted."""

MAX_PAGE = 1000

MAX_USES = 1_000_000_000
"""What `Count` can hold; whatever was used so often stays at that."""

_AT = bindparam("at", type_=Double)
_SUM = exceptions.c.uses + bindparam("times", type_=Integer)
_USE = (
    update(exceptions)
    .where(exceptions.c.id == bindparam("used"))
    .values(
        uses=case((_SUM > MAX_USES, MAX_USES), else_=_SUM),
        last_used_at=case((exceptions.c.last_used_at > _AT, exceptions.c.last_used_at), else_=_AT),
    )
)

Mark = tuple[object, ...]
"""Stands for all exceptions that have not ended; another one says that they are others."""


@dataclass(frozen=True)
class Uses:
    """How often an exception was used, and when last (Unix seconds)."""

    times: int
    last_at: float


class LiveException(NamedTuple):
    """An exception that has not ended, as its row holds it: most are never looked at before they end."""

    id: str
    subject: str
    resource: str
    action: str
    waives: str
    reason: str
    approver: str
    starts_at: float
    ends_at: float

    def fact(self) -> ExceptionFact:
        """Return what policy is told of it.

        Raises:
            ValueError: the row holds what nobody could grant.
        """
        told = self._asdict()
        del told["id"]
        waives = json.loads(self.waives)
        if not isinstance(waives, list):
            raise ValueError("what an exception waives is a list")
        return ExceptionFact.model_validate({**told, "waives": dict.fromkeys(waives, True)})


_LIVE = tuple(exceptions.c[name] for name in LiveException._fields)


class Exceptions:
    """The table of granted exceptions."""

    def __init__(self, database: Database, most: int = MAX_LIVE) -> None:
        self._database = database
        self._most = most

    async def add(self, granted: GrantedException) -> bool:
        """Keep a new exception; false when too many have not ended, of all or of those for the same request."""
        is_live = _is_live(granted.granted_at)
        alike = select(func.count()).select_from(exceptions).where(is_live & _is_for(granted))
        live = select(func.count()).select_from(exceptions).where(is_live)

        async def _add(connection: AsyncConnection) -> bool:
            for query, most in ((alike, MAX_ALIKE), (live, self._most)):
                if (await connection.execute(query)).scalar_one() >= most:
                    return False
            await connection.execute(insert(exceptions).values(_values(granted)))
            record = granted.model_dump_json(exclude={"state"}).encode()
            await log(connection, "exception", [(granted.id, granted.granted_at, record)])
            return True

        return await self._database.write("grant an exception", _add)

    async def get(self, exception_id: str, now: float) -> GrantedException | None:
        """Return an exception as it stands at ``now`` (Unix seconds), or none."""
        if not is_identifier(exception_id):
            return None
        query = select(exceptions).where(exceptions.c.id == exception_id)
        with self._database.understanding("look up an exception"):
            rows = await self._database.read("look up an exception", query)
            return _granted(rows[0], now) if rows else None

    async def revoke(self, exception_id: str, by: str, now: float) -> bool:
        """End an exception at ``now`` (Unix seconds); false when there is none that has not ended."""
        ends = (exceptions.c.id == exception_id) & _is_live(now)
        statement = update(exceptions).where(ends).values(revoked_at=now, revoked_by=by)

        async def _revoke(connection: AsyncConnection) -> bool:
            if (await connection.execute(statement)).rowcount != 1:
                return False
            record = json.dumps({"id": exception_id, "revoked_at": now, "revoked_by": by}).encode()
            await log(connection, "exception", [(exception_id, now, record)])
            return True

        return await self._database.write("revoke an exception", _revoke)

    async def page(
        self,
        now: float,
        states: Collection[ExceptionState] = (),
        subject: str | None = None,
        before: str = LAST_ID,
        limit: int = 100,
    ) -> list[GrantedException]:
        """Return up to ``limit`` exceptions (at most 1000), newest first.

        Args:
            now: Unix seconds, by which they stand in one of ``states``.
            states: these alone; none for all.
            subject: for this one alone.
            before: only ids that come before this one.
            limit: how many.
        """
        wanted = [exceptions.c.id < before]
        if states:
            wanted.append(or_(*(_is_in(state, now) for state in states)))
        if subject is not None:
            wanted.append(exceptions.c.subject == subject)
        query = select(exceptions).where(and_(*wanted)).order_by(exceptions.c.id.desc())
        with self._database.understanding("list exceptions"):
            rows = await self._database.read("list exceptions", query.limit(min(max(limit, 1), MAX_PAGE)))
            return [_granted(row, now) for row in rows]

    async def mark(self, now: float) -> Mark:
        """Return what becomes another when an exception is granted, revoked, or has ended by ``now`` (Unix seconds).

        Whoever grants or revokes may have another clock, so that their times alone would not tell.
        """
        of = exceptions.c
        query = select(
            func.count(),
            func.count(of.revoked_at),
            func.max(of.granted_at),
            func.max(of.revoked_at),
            func.min(of.ends_at),
        ).where(of.ends_at > now)
        return tuple((await self._database.read("look for other exceptions", query))[0])

    async def revoked(self, now: float) -> set[str]:
        """Return the ids of those that were revoked and would not have ended by ``now`` (Unix seconds)."""
        query = select(exceptions.c.id).where((exceptions.c.ends_at > now) & exceptions.c.revoked_at.is_not(None))
        return {row.id for row in await self._database.read("look up revoked exceptions", query)}

    async def live(self, now: float, after: str = "", limit: int = MAX_PAGE) -> list[LiveException]:
        """Return up to ``limit`` exceptions that have not ended at ``now`` (Unix seconds), in order of id."""
        query = select(*_LIVE).where(_is_live(now) & (exceptions.c.id > after)).order_by(exceptions.c.id)
        return [LiveException._make(row) for row in await self._database.read("read exceptions", query.limit(limit))]

    async def used(self, uses: Mapping[str, Uses]) -> None:
        """Count uses by id; an id that nobody knows counts nothing."""
        # One order for everybody: two replicas that count the same exceptions cannot wait for one another in a ring.
        rows = [{"used": name, "times": of.times, "at": of.last_at} for name, of in sorted(uses.items())]
        if not rows:
            return

        async def _count(connection: AsyncConnection) -> None:
            await connection.execute(_USE, rows)

        await self._database.write("count uses of exceptions", _count)

    async def ending(self, now: float, within: float) -> int:
        """Return how many end within ``within`` seconds from ``now`` and were used as shortly before it."""
        of = exceptions.c
        is_near = _is_live(now) & (of.ends_at <= now + within) & (of.last_used_at > now - within)
        query = select(func.count()).select_from(exceptions).where(is_near)
        return int((await self._database.read("look for exceptions that end", query))[0][0])

    async def purge(self, before: float) -> int:
        """Forget the exceptions that ended before ``before`` (Unix seconds); return how many."""
        return await self._database.change(
            "forget old exceptions", delete(exceptions).where(exceptions.c.ends_at < before)
        )


def _is_live(now: float) -> ColumnElement[bool]:
    return exceptions.c.revoked_at.is_(None) & (exceptions.c.ends_at > now)


def _is_for(granted: GrantedException) -> ColumnElement[bool]:
    of = exceptions.c
    return (of.subject == granted.subject) & (of.resource == granted.resource) & (of.action == granted.action)


def _is_in(state: ExceptionState, now: float) -> ColumnElement[bool]:
    of = exceptions.c
    if state == "revoked":
        return of.revoked_at.is_not(None)
    if state == "expired":
        return of.revoked_at.is_(None) & (of.ends_at <= now)
    return _is_live(now) & (of.starts_at <= now if state == "current" else of.starts_at > now)


def _values(granted: GrantedException) -> dict[str, Any]:
    return {**granted.model_dump(exclude={"state"}), "waives": json.dumps(granted.waives)}


def _granted(row: Row[Any], now: float) -> GrantedException:
    fields = dict(row._mapping)
    return GrantedException(
        **{**fields, "waives": json.loads(row.waives)},
        state=state_at(row.starts_at, row.ends_at, row.revoked_at, now),
    )
