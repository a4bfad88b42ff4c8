"""Accounts of privacy budgets: what was charged is kept for ever, and given back by nothing.

An account is charged only by whoever names how often it was charged before: of two replicas that saw the same, one has
to look again. So what policy decided on is what holds when it is charged.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, case, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.privacy import Account, Mechanism, PrivacyScope
from controlplane.storage.database import Database
from controlplane.storage.tables_privacy import privacy_accounts as accounts
from controlplane.storage.tables_privacy import privacy_spending as spending

DAY_SECONDS = 86_400
EARLIER = -1
"""The day of all that no window reaches any more."""

MAX_CHARGES = 1_000_000_000
"""What `Count` can hold; an account that was charged so often is charged no more."""


@dataclass(frozen=True)
class Spent:
    """What was charged to an account.

    Attributes:
        charges: how often; 0 for an account that nobody charged.
        days: how often what was charged on which day since 1970 (UTC); `EARLIER` for what is long ago.
    """

    charges: int
    days: Mapping[int, Mapping[Mechanism, int]]


_NOTHING = Spent(0, {})
_KEY = [column.name for column in spending.primary_key]


def day_of(moment: float) -> int:
    """Return the day since 1970 (UTC) that ``moment`` (Unix seconds) lies in."""
    return int(moment // DAY_SECONDS)


class PrivacyAccounts:
    """The tables of accounts and of what was charged to them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = (postgresql if database.kind == "postgresql" else sqlite).insert

    async def spent(self, account: Account) -> Spent:
        """Return what was charged to an account.

        It is read after how often it was charged, so that it may hold more than that number says, and is not charged
        then; never less.
        """
        of = accounts.c
        is_it = (of.scope == account.scope) & (of.id == account.id) & (of.data_set == account.data_set)
        known = await self._database.read("look up a privacy account", select(of.charges).where(is_it))
        if not known:
            return _NOTHING
        rows = await self._database.read("look up what was spent", select(spending).where(_is_of(account)))
        return Spent(known[0].charges, _by_day(rows))

    async def charge(self, account: Account, mechanism: Mechanism, before: int, now: float) -> bool:
        """Charge an account once; durable when this returns.

        Args:
            account: whose.
            mechanism: what.
            before: how often it was charged, as it was seen.
            now: Unix seconds. Where the clock was set back, the account is charged on the day that it had come to, so
                that what is charged later leaves no window earlier.

        Returns:
            False, with nothing charged, when it was charged another number of times, or can be charged no more.
        """
        if before >= MAX_CHARGES:
            return False

        async def _charge(connection: AsyncConnection) -> bool:
            charged_at = await self._turn(connection, account, before, now)
            if charged_at is None:
                return False
            row = {**account._asdict(), **mechanism._asdict(), "day": day_of(charged_at), "times": 1}
            statement = self._insert(spending).values(row)
            counted = statement.on_conflict_do_update(index_elements=_KEY, set_={"times": spending.c.times + 1})
            await connection.execute(counted)
            return True

        return await self._database.write("charge a privacy budget", _charge)

    async def _turn(self, connection: AsyncConnection, account: Account, before: int, now: float) -> float | None:
        """Count one more, and return when it is charged; none where it was charged another number of times."""
        values = {**account._asdict(), "charges": before + 1, "charged_at": now}
        if before == 0:
            opened = self._insert(accounts).values(values).on_conflict_do_nothing()
            return now if (await connection.execute(opened)).rowcount == 1 else None
        of = accounts.c
        is_it = (of.scope == account.scope) & (of.id == account.id) & (of.data_set == account.data_set)
        is_it = is_it & (of.charges == before)
        latest = case((of.charged_at > now, of.charged_at), else_=now)
        moved = update(accounts).where(is_it).values(charges=before + 1, charged_at=latest)
        found = (await connection.execute(moved.returning(of.charged_at))).first()
        return None if found is None else float(found.charged_at)

    async def of(self, scope: PrivacyScope, name: str) -> list[Account]:
        """Return the accounts of a device, or the account of a data set as a whole."""
        if not is_identifier(name):
            return []
        of = accounts.c
        query = select(of.scope, of.id, of.data_set).where((of.scope == scope) & (of.id == name)).order_by(of.data_set)
        return [
            Account(row.scope, row.id, row.data_set)
            for row in await self._database.read("list privacy accounts", query)
        ]

    async def data_sets(self) -> list[str]:
        """Return the data sets that anything was spent of."""
        query = select(accounts.c.data_set).distinct().order_by(accounts.c.data_set)
        return [row.data_set for row in await self._database.read("list data sets", query)]

    async def devices(self, data_set: str) -> int:
        """Return how many devices spent something of a data set."""
        is_its = (accounts.c.data_set == data_set) & (accounts.c.scope == "devices")
        query = select(func.count()).select_from(accounts).where(is_its)
        return int((await self._database.read("count privacy accounts", query))[0][0])

    async def fullest(self, data_set: str, scope: PrivacyScope, since: int, limit: int = 10) -> list[Account]:
        """Return the accounts of a data set that spent most since a day, the fullest first.

        They are put in order by what Gaussian noise costs in zero-concentrated differential privacy (Bun and Steinke
        2016), which adds up, and which the database can compute.
        """
        of = spending.c
        weight = func.sum(of.times * of.sampling * of.sampling / (of.noise_multiplier * of.noise_multiplier))
        query = (
            select(of.scope, of.id, of.data_set)
            .where((of.data_set == data_set) & (of.scope == scope) & (of.day >= since))
            .group_by(of.scope, of.id, of.data_set)
            .order_by(weight.desc(), of.id)
            .limit(limit)
        )
        return [
            Account(row.scope, row.id, row.data_set)
            for row in await self._database.read("list privacy accounts", query)
        ]

    async def gather(self, before: int) -> int:
        """Put together what was charged before a day, which no window reaches; nothing of it is lost.

        Returns:
            How many rows that spares.
        """
        of = spending.c
        kept = (of.scope, of.id, of.data_set, of.mode, of.noise_multiplier, of.sampling)
        is_early = (of.day < before) & (of.day != EARLIER)

        async def _gather(connection: AsyncConnection) -> int:
            early = (await connection.execute(select(spending).where(is_early).with_for_update())).all()
            sums: dict[tuple[object, ...], int] = defaultdict(int)
            for row in early:
                sums[tuple(row._mapping[column.name] for column in kept)] += row.times
            for values, count in sums.items():
                row_of = dict(zip((column.name for column in kept), values, strict=True))
                statement = self._insert(spending).values(**row_of, day=EARLIER, times=count)
                added = statement.on_conflict_do_update(
                    index_elements=_KEY, set_={"times": of.times + statement.excluded.times}
                )
                await connection.execute(added)
            await connection.execute(delete(spending).where(is_early))
            return len(early) - len(sums)

        return await self._database.write("gather what was spent long ago", _gather)


def _is_of(account: Account) -> ColumnElement[bool]:
    of = spending.c
    return (of.scope == account.scope) & (of.id == account.id) & (of.data_set == account.data_set)


def _by_day(rows: Sequence[Row[tuple[object, ...]]]) -> dict[int, dict[Mechanism, int]]:
    days: dict[int, dict[Mechanism, int]] = defaultdict(dict)
    for row in rows:
        days[row.day][Mechanism(row.mode, row.noise_multiplier, row.sampling)] = row.times
    return dict(days)
