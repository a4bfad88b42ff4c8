"""Budgets of inference: what was used and leased, exact however many replicas lease at once.

A lease is taken from the windows of a subject, a model and a segment in one statement that changes each of them only
where there is room; where one has none, the transaction leaves no trace. Accounts are locked in one order everywhere,
so that two who take from the same ones wait for each other and never in a circle.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.budgets import (
    MAX_STANDINGS,
    SPAN_SECONDS,
    Amounts,
    BudgetLease,
    BudgetScope,
    BudgetStanding,
    LeaseUse,
    Limits,
    SettledLease,
    window_end,
    window_start,
)
from controlplane.storage.budget_windows import Window, are, has_room, share, standing_of, told, windows_of
from controlplane.storage.database import Database
from controlplane.storage.tables_budgets import budget_accounts as accounts
from controlplane.storage.tables_budgets import budget_leases as leases

SCOPES: tuple[BudgetScope, ...] = ("subject", "model", "segment")
"""In the order in which they are told."""


class Settled(NamedTuple):
    """What became of settlements.

    Attributes:
        leases: in their order.
        used: what was used of those that were settled now.
        returned: what of them went back.
        beyond: tokens that were used and not leased.
    """

    leases: list[SettledLease]
    used: Amounts
    returned: Amounts
    beyond: int


class Lost(NamedTuple):
    """Leases of the current day that ended and were not settled: what is left of them is lost until it ends."""

    leases: int
    tokens: int


class Budgets:
    """The tables of budgets and leases."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = (postgresql if database.kind == "postgresql" else sqlite).insert

    async def taken(self, owners: Mapping[BudgetScope, str], now: float) -> dict[Window, Amounts]:
        """Return what is used or leased of the windows that ``now`` (Unix seconds) lies in; those of nobody are empty.

        Args:
            owners: whose budgets.
            now: Unix seconds.
        """
        windows = windows_of(owners, now)
        with self._database.understanding("look up budgets"):
            rows = await self._database.read("look up budgets", select(accounts).where(are(windows)))
            found = {
                Window(row.scope, row.id, row.span, row.starts_at): told(
                    row.requests_used + row.requests_leased, row.tokens_used + row.tokens_leased
                )
                for row in rows
            }
        return {window: found.get(window, Amounts(requests=0, tokens=0)) for window in windows}

    async def room_at(self, owners: Mapping[BudgetScope, str], asked: Amounts, now: float) -> float:
        """Return when the windows have ended that have no room for ``asked`` now, Unix seconds.

        By the limits of the latest leases; where these had room, when the hour ends.

        Args:
            owners: whose budgets.
            asked: what is needed.
            now: Unix seconds.
        """
        query = select(accounts).where(are(windows_of(owners, now)))
        with self._database.understanding("look up budgets"):
            rows = await self._database.read("look up budgets", query)
            ends = [window_end(row.span, row.starts_at) for row in rows if not has_room(row, asked)]
        return float(max(ends, default=window_end("hour", now)))

    async def out(self, subject: str, model: str, now: float) -> int:
        """Return how many leases of a subject and a model gateways hold at ``now`` (Unix seconds)."""
        of = leases.c
        held = (of.subject == subject) & (of.model == model) & (of.expires_at > now) & of.settled_at.is_(None)
        query = select(func.count()).select_from(leases).where(held)
        return int((await self._database.read("count leases", query))[0][0])

    async def lease(self, lease: BudgetLease, gateway: str, limits: Limits, now: float) -> bool:
        """Take a lease from all of its budgets at once; durable when this returns.

        Args:
            lease: what is taken.
            gateway: who may spend it.
            limits: of all budgets in all windows.
            now: in whose windows, Unix seconds.

        Returns:
            False, with nothing taken, where one of them has no room.

        Raises:
            KeyError: a limit is missing.
        """
        windows = windows_of({"subject": lease.subject, "model": lease.model, "segment": lease.segment}, now)
        rows = [_taking(lease, window, limits[window.scope][window.span]) for window in windows]
        if any(row["requests_leased"] > row["requests_limit"] for row in rows):
            return False
        if any(row["tokens_leased"] > row["tokens_limit"] for row in rows):
            return False
        taking, kept = self._taking(rows), insert(leases).values(_kept(lease, gateway, now))

        async def _lease(connection: AsyncConnection) -> bool:
            if len((await connection.execute(taking)).all()) < len(rows):
                await connection.rollback()
                return False
            await connection.execute(kept)
            return True

        return await self._database.write("lease of budgets", _lease)

    async def settle(self, gateway: str, uses: Sequence[LeaseUse], now: float) -> Settled:
        """Count what was used of leases, and give back what is left, in the windows that they were taken from.

        Args:
            gateway: whose leases alone are settled.
            uses: what was used; of two of one lease, the first.
            now: Unix seconds.
        """
        by_lease = {use.lease: use for use in reversed(uses)}

        async def _settle(connection: AsyncConnection) -> Settled:
            ended: dict[str, Row[Any]] = {}
            for name in sorted(by_lease):
                row = (await connection.execute(_ending(gateway, by_lease[name], now))).first()
                if row is not None:
                    ended[name] = row
            await _give_back(connection, list(ended.values()))
            of = leases.c
            mine = select(of.id).where(of.id.in_(by_lease) & (of.gateway == gateway))
            known = {row.id for row in (await connection.execute(mine)).all()}
            return _outcome(uses, ended, known)

        return await self._database.write("settle leases", _settle)

    async def page(
        self, now: float, scope: BudgetScope | None = None, name: str | None = None, limit: int = 50
    ) -> list[BudgetStanding]:
        """Return how budgets stand in the windows that ``now`` (Unix seconds) lies in, the fullest first.

        Args:
            now: Unix seconds.
            scope: those of this kind alone.
            name: those of this device, model or segment alone.
            limit: so many at most.
        """
        of = accounts.c
        current = or_(*((of.span == span) & (of.starts_at == window_start(span, now)) for span in SPAN_SECONDS))
        if name is not None and not is_identifier(name):
            return []
        kind = [] if scope is None else [of.scope == scope]
        named = [] if name is None else [of.id == name]
        query = select(accounts).where(and_(current, *kind, *named)).order_by(share().desc(), of.scope, of.id, of.span)
        with self._database.understanding("list budgets"):
            rows = await self._database.read("list budgets", query.limit(min(max(limit, 1), MAX_STANDINGS)))
            return [standing_of(row) for row in rows]

    async def lost(self, now: float) -> Lost:
        """Return the leases of the current day that ended before ``now`` (Unix seconds), and that nobody settled."""
        of = leases.c
        gone = of.settled_at.is_(None) & (of.expires_at < now) & (of.leased_at >= window_start("day", now))
        counted = (func.count().label("lost"), func.coalesce(func.sum(of.tokens), 0).label("tokens"))
        row = (await self._database.read("count lost leases", select(*counted).select_from(leases).where(gone)))[0]
        return Lost(int(row.lost), int(row.tokens))

    async def purge(self, before: float) -> int:
        """Forget windows that began, and leases that were made, before ``before`` (Unix seconds); return how many."""
        windows = delete(accounts).where(accounts.c.starts_at < before)
        made = delete(leases).where(leases.c.leased_at < before)
        return await self._database.change("forget windows", windows) + await self._database.change(
            "forget leases", made
        )

    def _taking(self, rows: list[dict[str, Any]]) -> Any:
        statement, of = self._insert(accounts).values(rows), accounts.c
        new = statement.excluded
        return statement.on_conflict_do_update(
            index_elements=list(Window._fields),
            set_={
                "requests_leased": of.requests_leased + new.requests_leased,
                "tokens_leased": of.tokens_leased + new.tokens_leased,
                "requests_limit": new.requests_limit,
                "tokens_limit": new.tokens_limit,
            },
            where=(of.requests_used + of.requests_leased + new.requests_leased <= new.requests_limit)
            & (of.tokens_used + of.tokens_leased + new.tokens_leased <= new.tokens_limit),
        ).returning(of.scope)


def _taking(lease: BudgetLease, window: Window, limit: Amounts) -> dict[str, Any]:
    return {
        **window._asdict(),
        "requests_used": 0,
        "requests_leased": lease.requests,
        "tokens_used": 0,
        "tokens_leased": lease.tokens,
        "requests_limit": limit.requests,
        "tokens_limit": limit.tokens,
    }


def _kept(lease: BudgetLease, gateway: str, now: float) -> dict[str, Any]:
    fields = lease.model_dump(exclude={"seconds", "decision_id"})
    return {**fields, "decision": lease.decision_id, "gateway": gateway, "leased_at": now}


def _ending(gateway: str, use: LeaseUse, now: float) -> Any:
    of = leases.c
    open_one = (of.id == use.lease) & (of.gateway == gateway) & of.settled_at.is_(None)
    # No gateway forwards a request that it did not lease; of tokens, a model server may use more than it was let.
    requests = case((of.requests < use.requests, of.requests), else_=use.requests)
    values = {"settled_at": now, "requests_used": requests, "tokens_used": use.tokens}
    return update(leases).where(open_one).values(values).returning(leases)


async def _give_back(connection: AsyncConnection, ended: Sequence[Row[Any]]) -> None:
    sums: dict[Window, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in ended:
        for window in windows_of({"subject": row.subject, "model": row.model, "segment": row.segment}, row.leased_at):
            for place, amount in enumerate((row.requests_used, row.requests, row.tokens_used, row.tokens)):
                sums[window][place] += amount
    if not sums:
        return
    of, names = accounts.c, ("requests_used", "requests_leased", "tokens_used", "tokens_leased")
    is_it = and_(*(of[name] == bindparam(f"of_{name}") for name in Window._fields))
    changed = {
        name: of[name] + bindparam(f"by_{name}") if name.endswith("_used") else of[name] - bindparam(f"by_{name}")
        for name in names
    }
    await connection.execute(
        update(accounts).where(is_it).values(changed),
        [
            {f"of_{name}": value for name, value in window._asdict().items()}
            | {f"by_{name}": amount for name, amount in zip(names, sums[window], strict=True)}
            for window in sorted(sums)
        ],
    )


def _outcome(uses: Sequence[LeaseUse], ended: Mapping[str, Row[Any]], known: set[str]) -> Settled:
    states, seen = [], set()
    for use in uses:
        is_now = use.lease in ended and use.lease not in seen
        seen.add(use.lease)
        state = "settled" if is_now else "known" if use.lease in known else "unknown"
        states.append(SettledLease.model_validate({"lease": use.lease, "state": state}))
    now = ended.values()
    used = Amounts(requests=sum(row.requests_used for row in now), tokens=sum(row.tokens_used for row in now))
    returned = Amounts(
        requests=sum(row.requests - row.requests_used for row in now),
        tokens=sum(max(0, row.tokens - row.tokens_used) for row in now),
    )
    return Settled(states, used, returned, sum(max(0, row.tokens_used - row.tokens) for row in now))
