"""Recorded decisions: a few columns to look by, and the whole document as it was serialised."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select

from controlplane.contracts.base import is_identifier
from controlplane.storage.database import Database
from controlplane.storage.tables import decisions

DecisionRow = tuple[str, float, str, str, str, bytes]
"""Id, time (Unix seconds), action, subject, outcome, and the record as JSON."""

_SUBJECTS = 500
_INSERT = "INSERT INTO decisions (id, time, action, subject, outcome, document) VALUES "
_PLACES = {"sqlite": "(?, ?, ?, ?, ?, ?)", "postgresql": "($1, $2, $3, $4, $5, $6)"}


class Decisions:
    """The table of decisions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = _INSERT + _PLACES[database.kind]

    async def add_many(self, records: Sequence[DecisionRow]) -> None:
        """Keep records, all or none; they are committed when this returns."""
        rows = list(records)
        if rows:
            # Past SQLAlchemy's per-row conversions: this is on the path of every decision.
            await self._database.insert("record decisions", self._insert, rows)

    async def get(self, decision_id: str) -> bytes | None:
        """Return a record as it was serialised, or none."""
        if not is_identifier(decision_id):
            return None
        query = select(decisions.c.document).where(decisions.c.id == decision_id)
        rows = await self._database.read("look up a decision", query)
        return rows[0].document if rows else None

    async def allowed(self, subjects: Collection[str], since: float, until: float) -> list[tuple[str, float, str]]:
        """Return subject, time (Unix seconds) and id of what was allowed to ``subjects`` within a time."""
        found: list[tuple[str, float, str]] = []
        names = sorted(subjects)
        is_within = (decisions.c.time >= since) & (decisions.c.time <= until) & (decisions.c.outcome == "allow")
        for start in range(0, len(names), _SUBJECTS):
            is_theirs = decisions.c.subject.in_(names[start : start + _SUBJECTS])
            query = select(decisions.c.subject, decisions.c.time, decisions.c.id).where(is_within & is_theirs)
            rows = await self._database.read("look up what was allowed", query)
            found += [(row.subject, row.time, row.id) for row in rows]
        return found

    async def purge(self, before: float) -> int:
        """Forget the decisions made before ``before`` (Unix seconds); return how many."""
        return await self._database.change("forget old decisions", delete(decisions).where(decisions.c.time < before))
