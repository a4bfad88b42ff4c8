"""Candidates in the shadow, and what every process counted of them."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.shadow import (
    DISAGREEMENTS,
    MAX_GROUPS,
    SAMPLES,
    Shadow,
    ShadowCounts,
    ShadowGroup,
    ShadowReport,
)
from controlplane.storage.database import Database
from controlplane.storage.releases import put_bundle, take_turn
from controlplane.storage.tables_policies import policy_disagreements as groups
from controlplane.storage.tables_policies import policy_shadows as shadows

KEPT = 16
"""Candidates that are kept with what was counted of them; the oldest makes room for the next."""

_KEY = ("change", "action", "reason", "segment")


class Shadows:
    """The tables of candidates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, shadow: Shadow, body: bytes) -> None:
        """Make ``shadow`` the candidate; whichever was it stops at the same moment."""

        async def _start(connection: AsyncConnection) -> None:
            # Of two who start at once the second stops the first.
            await take_turn(connection)
            await connection.execute(_stopping(shadow.started_at))
            await put_bundle(connection, body)
            none = dict.fromkeys(("agreed", *DISAGREEMENTS, "failed", "dropped"), 0)
            await connection.execute(insert(shadows).values(**shadow.model_dump(), **none))
            await _make_room(connection)

        await self._database.write("start a candidate", _start)

    async def stop(self, at: float) -> bool:
        """Stop the candidate, at a time in Unix seconds; false when there is none."""
        return await self._database.change("stop the candidate", _stopping(at)) > 0

    async def current(self) -> Shadow | None:
        """Return the candidate that is to decide in the shadow, or none."""
        query = _newest().where(shadows.c.stopped_at.is_(None))
        with self._database.understanding("look up the candidate"):
            rows = await self._database.read("look up the candidate", query)
            return _shadow(rows[0]) if rows else None

    async def add(self, shadow_id: str, counts: ShadowCounts) -> None:
        """Add what one process counted: all of it or nothing. What is counted of a forgotten candidate is forgotten."""

        async def _add(connection: AsyncConnection) -> None:
            found: dict[str, int] = {"agreed": counts.agreed, "failed": counts.failed, "dropped": counts.dropped}
            found.update({str(change): number for change, number in counts.changes.items()})
            added = {name: shadows.c[name] + number for name, number in found.items() if number}
            # The row is locked from here on: other processes add to its groups after this one.
            changed = await connection.execute(update(shadows).where(shadows.c.id == shadow_id).values(added))
            if changed.rowcount and counts.groups:
                await _add_groups(connection, shadow_id, counts.groups)

        if counts:
            await self._database.write("count what the candidate decided", _add)

    async def report(self) -> ShadowReport | None:
        """Return what was counted of the newest candidate, whether it still decides or not; none without any."""
        with self._database.understanding("read what the candidate would change"):
            rows = await self._database.read("look up the candidate", _newest())
            if not rows:
                return None
            found = await self._database.read("read what the candidate would change", _groups_of(rows[0].id))
            return _report(rows[0], found)


def _report(row: Row[Any], found: Iterable[Row[Any]]) -> ShadowReport:
    order = {change: number for number, change in enumerate((*DISAGREEMENTS, "failed"))}
    return ShadowReport(
        shadow=_shadow(row),
        agreed=row.agreed,
        changes={change: getattr(row, change) for change in DISAGREEMENTS},
        failed=row.failed,
        dropped=row.dropped,
        groups=sorted(map(_group, found), key=lambda group: (order[group.change], -group.count)),
    )


def _newest() -> Select[Any]:
    return select(shadows).order_by(shadows.c.started_at.desc(), shadows.c.id.desc()).limit(1)


def _groups_of(shadow_id: str) -> Select[Any]:
    is_its = groups.c.shadow_id == shadow_id
    return select(groups).where(is_its).order_by(*(groups.c[name] for name in _KEY)).limit(MAX_GROUPS)


def _stopping(at: float) -> Any:
    return update(shadows).where(shadows.c.stopped_at.is_(None)).values(stopped_at=at)


async def _make_room(connection: AsyncConnection) -> None:
    newest = select(shadows.c.id).order_by(shadows.c.started_at.desc(), shadows.c.id.desc()).limit(KEPT)
    kept = [row.id for row in await connection.execute(newest)]
    await connection.execute(delete(shadows).where(shadows.c.id.not_in(kept)))


async def _add_groups(connection: AsyncConnection, shadow_id: str, found: Iterable[ShadowGroup]) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    known = {
        tuple(row[1:5]): (int(row._mapping["count"]), json.loads(row.samples))
        for row in await connection.execute(_groups_of(shadow_id))
    }
    changed = set()
    for group in found:
        key = (group.change, group.action, group.reason, group.segment)
        if key in known or len(known) < MAX_GROUPS:
            count, samples = known.get(key, (0, []))
            known[key] = (count + group.count, [*samples, *group.samples][:SAMPLES])
            changed.add(key)
    for key in changed:
        counted = {"count": known[key][0], "samples": json.dumps(known[key][1])}
        values = {"shadow_id": shadow_id, **dict(zip(_KEY, key, strict=True)), **counted}
        statement = dialect.insert(groups).values(values)
        keys = list(groups.primary_key.columns)
        await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=counted))


def _shadow(row: Row[Any]) -> Shadow:
    return Shadow(
        id=row.id,
        revision=row.revision,
        digest=row.digest,
        started_at=row.started_at,
        started_by=row.started_by,
        stopped_at=row.stopped_at,
    )


def _group(row: Row[Any]) -> ShadowGroup:
    return ShadowGroup(
        change=row.change,
        action=row.action,
        reason=row.reason,
        segment=row.segment,
        count=row._mapping["count"],  # `count` alone is a method of every row
        samples=json.loads(row.samples),
    )
