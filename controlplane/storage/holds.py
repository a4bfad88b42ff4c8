"""What alerts had held: each hold is written once, never prolonged, and changed only where it is ended early."""

import hashlib
import json
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.contracts.holds import HOLD_PREFIX, MAX_HOLDS, Hold, hold_state
from controlplane.storage.database import Database
from controlplane.storage.tables_policies import holds

MAX_PAGE = 1000

_TURN = text("SELECT pg_advisory_xact_lock(8418)")
"""Of several replicas, one at a time counts and adds; SQLite has one writer anyway."""


class Begun(NamedTuple):
    """What became of a hold that was asked for.

    Attributes:
        hold: as it is kept; none when too many last.
        how: ``begun`` now, ``known`` from before, or ``full``.
    """

    hold: Hold | None
    how: Literal["begun", "known", "full"]


class Holds:
    """The table of holds."""

    def __init__(self, database: Database, most: int = MAX_HOLDS) -> None:
        self._database = database
        self._most = most

    async def begin(self, hold: Hold) -> Begun:
        """Keep a hold, unless the same alert asked for one before, whatever has become of that.

        Args:
            hold: that begins at its ``starts_at``; at most so many may last then.
        """
        now, known = hold.starts_at, select(holds).where(holds.c.id == hold.id)
        lasting = select(func.count()).select_from(holds).where(_lasts(now))

        async def _begin(connection: AsyncConnection) -> Begun:
            if connection.dialect.name == "postgresql":
                await connection.execute(_TURN)
            found = (await connection.execute(known)).all()
            if found:
                return Begun(_hold(found[0], now), "known")
            if (await connection.execute(lasting)).scalar_one() >= self._most:
                return Begun(None, "full")
            await connection.execute(insert(holds).values(_values(hold)))
            return Begun(hold, "begun")

        with self._database.understanding("hold an action"):
            return await self._database.write("hold an action", _begin)

    async def release(self, hold_id: str, by: str, reason: str, now: float) -> bool:
        """End a hold at ``now`` (Unix seconds); false when there is none that lasts."""
        ends = (holds.c.id == hold_id) & _lasts(now)
        statement = update(holds).where(ends).values(released_at=now, released_by=by, release_reason=reason)
        return await self._database.change("release a hold", statement) == 1

    async def get(self, hold_id: str, now: float) -> Hold | None:
        """Return a hold as it stands at ``now`` (Unix seconds), or none."""
        if not is_identifier(hold_id):
            return None
        query = select(holds).where(holds.c.id == hold_id)
        with self._database.understanding("look up a hold"):
            rows = await self._database.read("look up a hold", query)
            return _hold(rows[0], now) if rows else None

    async def current(self, now: float) -> list[Hold]:
        """Return the holds that last at ``now`` (Unix seconds), in order of id."""
        query = select(holds).where(_lasts(now)).order_by(holds.c.id)
        with self._database.understanding("read holds"):
            return [_hold(row, now) for row in await self._database.read("read holds", query)]

    async def page(self, now: float, limit: int = 100, *, ended: bool = False) -> list[Hold]:
        """Return up to ``limit`` holds (at most 1000), the latest first.

        Args:
            now: Unix seconds, by which they stand.
            limit: how many.
            ended: those too that expired or were released.
        """
        query = select(holds) if ended else select(holds).where(_lasts(now))
        query = query.order_by(holds.c.starts_at.desc(), holds.c.id).limit(min(max(limit, 1), MAX_PAGE))
        with self._database.understanding("list holds"):
            return [_hold(row, now) for row in await self._database.read("list holds", query)]

    async def purge(self, before: float) -> int:
        """Forget the holds that ended before ``before`` (Unix seconds); return how many."""
        return await self._database.change("forget old holds", delete(holds).where(holds.c.ends_at < before))


def hold_id(fingerprint: str, started_at: float) -> str:
    """Return the id of the hold that an alert asks for: the same for the same alert and start (Unix seconds)."""
    named = f"{fingerprint} {round(started_at * 1e6)}"
    return f"{HOLD_PREFIX}-{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def _lasts(now: float) -> ColumnElement[bool]:
    return holds.c.released_at.is_(None) & (holds.c.ends_at > now)


def _values(hold: Hold) -> dict[str, Any]:
    return {**hold.model_dump(exclude={"state"}), "actions": json.dumps(hold.actions)}


def _hold(row: Row[Any], now: float) -> Hold:
    fields = {**row._mapping, "actions": json.loads(row.actions)}
    return Hold(**fields, state=hold_state(row.ends_at, row.released_at, now))
