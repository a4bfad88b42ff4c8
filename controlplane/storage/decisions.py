"""Recorded decisions: a few columns to look by, and the whole document as it was serialised.

Their ids are in order of time, so that pages, newest first, need no index but the primary key's: every further one
would have to be written with every decision.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import ColumnElement, Connection, LargeBinary, and_, cast, delete, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.storage.database import Database
from controlplane.storage.log import append, erase
from controlplane.storage.tables_log import decisions

DecisionRow = tuple[str, float, str, str, str, bytes]
"""Id, time (Unix seconds), action, subject, outcome, and the record as JSON."""

LAST_ID = "~"
"""Comes after every id."""

MAX_PAGE = 4096
_SUBJECTS = 500
_SLICE = 500
"""Decisions that are forgotten in one transaction."""

_INSERT = "INSERT INTO decisions (id, time, action, subject, outcome, document) VALUES "
_PLACES = {"sqlite": "(?, ?, ?, ?, ?, ?)", "postgresql": "($1, $2, $3, $4, $5, $6)"}


@dataclass(frozen=True)
class Wanted:
    """Which decisions a page is to hold, as far as the columns say.

    Attributes:
        before: only ids that come before this one; the page begins right before it.
        floor: only ids that come after this one.
        since: only decisions of this time (Unix seconds) and later.
        until: only decisions before this time.
        actions: only these, as they were recorded: by package.
    """

    before: str = LAST_ID
    floor: str = ""
    since: float | None = None
    until: float | None = None
    actions: tuple[str, ...] = ()
    outcome: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class FoundRecords:
    """A page, newest first.

    Attributes:
        records: id, action and document of each.
        before: where the next page begins; none at the end.
    """

    records: list[tuple[str, str, bytes]]
    before: str | None


class Decisions:
    """The table of decisions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = _INSERT + _PLACES[database.kind]

    async def add_many(self, records: Sequence[DecisionRow]) -> None:
        """Keep records, all or none; they are committed when this returns."""
        rows = list(records)

        def _add(connection: Connection) -> None:
            # Past SQLAlchemy's per-row conversions: this is on the path of every decision.
            connection.exec_driver_sql(self._insert, rows)
            append(connection, "decision", [(row[0], row[1], row[5]) for row in rows], keep=False)

        if rows:
            await self._database.bulk("record decisions", _add)

    async def get(self, decision_id: str) -> bytes | None:
        """Return a record as it was serialised, or none."""
        found = await self.record(decision_id)
        return None if found is None else found[1]

    async def record(self, decision_id: str) -> tuple[str, bytes] | None:
        """Return what a record was kept under, its action or package, and the record as it was serialised, or none."""
        if not is_identifier(decision_id):
            return None
        query = select(decisions.c.action, decisions.c.document).where(decisions.c.id == decision_id)
        rows = await self._database.read("look up a decision", query)
        return (rows[0].action, rows[0].document) if rows else None

    async def documents(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the records of those of up to a thousand decisions that there are, as they were serialised."""
        if not names:
            return {}
        # SQLite keeps whatever type somebody wrote: this is for those who look for just that.
        document = cast(decisions.c.document, LargeBinary).label("document")
        query = select(decisions.c.id, document).where(decisions.c.id.in_(names))
        rows = await self._database.read("look decisions up", query)
        return {row.id: bytes(row.document) for row in rows}

    async def revisions(self, names: Sequence[str]) -> list[str]:
        """Return the policy revisions of those of up to a thousand decisions that there are, each once, in order."""
        documents = await self.documents(names)
        stated = (json.loads(documents[name]).get("policy_revision", "") for name in names if name in documents)
        return list(dict.fromkeys(str(one) for one in stated if one))

    async def page(self, wanted: Wanted, limit: int, scan: int) -> FoundRecords:
        """Return up to ``limit`` wanted records (at most 4096), newest first, of the next ``scan`` that there are."""
        limit = min(max(limit, 1), MAX_PAGE)
        is_within = (decisions.c.id < wanted.before) & (decisions.c.id > wanted.floor)
        # The keys alone say how far this page looks, whatever is rare in it.
        reach = select(decisions.c.id).where(is_within).order_by(decisions.c.id.desc()).limit(1).offset(scan - 1)
        found = await self._database.read("look how far a page of decisions goes", reach)
        edge = found[0].id if found else None
        is_near = true() if edge is None else decisions.c.id >= edge
        query = select(decisions.c.id, decisions.c.action, decisions.c.document)
        query = query.where(is_within & is_near & _is_wanted(wanted)).order_by(decisions.c.id.desc()).limit(limit)
        rows = await self._database.read("look decisions up", query)
        records = [(row.id, row.action, row.document) for row in rows]
        return FoundRecords(records, records[-1][0] if len(records) == limit else edge)

    async def count(self, wanted: Wanted) -> int:
        """Return how many records are wanted."""
        is_within = (decisions.c.id < wanted.before) & (decisions.c.id > wanted.floor)
        query = select(func.count()).select_from(decisions).where(is_within & _is_wanted(wanted))
        return int((await self._database.read("count decisions", query))[0][0])

    async def allowed(self, subjects: Collection[str], since: float, until: float) -> list[tuple[str, float, str]]:
        """Return subject, time (Unix seconds) and id of what was allowed to ``subjects`` within a time."""
        found: list[tuple[str, float, str]] = []
        names = sorted(subjects)
        is_within = (decisions.c.time >= since) & (decisions.c.time <= until) & (decisions.c.outcome == "allow")
        # What a site allowed itself was granted by nobody.
        is_within = is_within & (decisions.c.action != "site")
        for start in range(0, len(names), _SUBJECTS):
            is_theirs = decisions.c.subject.in_(names[start : start + _SUBJECTS])
            query = select(decisions.c.subject, decisions.c.time, decisions.c.id).where(is_within & is_theirs)
            rows = await self._database.read("look up what was allowed", query)
            found += [(row.subject, row.time, row.id) for row in rows]
        return found

    async def purge(self, before: float, *, since: float = 0.0, action: str | None = None) -> int:
        """Forget decisions, a few at a time, so that nobody who records waits for long; return how many.

        Args:
            before: those made before this time, Unix seconds.
            since: of these, only those made at this time and later.
            action: of these, only those recorded under this action or package.
        """
        gone = 0
        is_theirs = true() if action is None else decisions.c.action == action
        while True:
            is_old = (decisions.c.time >= since) & (decisions.c.time < before) & is_theirs
            query = select(decisions.c.id, decisions.c.time).where(is_old).order_by(decisions.c.time).limit(_SLICE)
            rows = await self._database.read("look for old decisions", query)
            if rows:
                gone += await self._database.write("forget old decisions", partial(_forget, [row.id for row in rows]))
            if len(rows) < _SLICE:
                return gone
            # What lies before is gone, or of others: it is not looked through again.
            since = rows[-1].time


async def _forget(names: Sequence[str], connection: AsyncConnection) -> int:
    """Erase decisions and what their entries in the log could still be checked with; the entries stay."""
    await erase(connection, "decision", names)
    return (await connection.execute(delete(decisions).where(decisions.c.id.in_(names)))).rowcount


def _is_wanted(wanted: Wanted) -> ColumnElement[bool]:
    claims = [
        true() if wanted.since is None else decisions.c.time >= wanted.since,
        true() if wanted.until is None else decisions.c.time < wanted.until,
        decisions.c.action.in_(wanted.actions) if wanted.actions else true(),
        true() if wanted.outcome is None else decisions.c.outcome == wanted.outcome,
        true() if wanted.subject is None else decisions.c.subject == wanted.subject,
    ]
    return and_(*claims)
