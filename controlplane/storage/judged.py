"""The updates that came to rounds, with the decision on each: over the tables of rounds, verdicts and records."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Select, select

from controlplane.contracts.base import is_identifier
from controlplane.contracts.behaviour import Verdict
from controlplane.storage.database import Database
from controlplane.storage.tables_behaviour import behaviour_verdicts as verdicts
from controlplane.storage.tables_log import decisions
from controlplane.storage.tables_rounds import contributions, rounds, submissions

MAX_SCAN = 20_000
"""Decisions that are gone through, newest first, for updates that were dropped."""

LAST_TIME = 1e12
"""Comes after every time."""

_MOST_VERDICTS = 4_096
_ACTION = "gradient_submission"


class Submitted(NamedTuple):
    """What came of a subject to a round.

    Attributes:
        uses: updates that came with a capability that held.
        decision_id: by which one was admitted; none where none was.
        opens_at: of the round, Unix seconds.
        closes_at: Unix seconds.
    """

    round_id: str
    subject: str
    uses: int
    decision_id: str | None
    opens_at: float
    closes_at: float


class Judged:
    """Several tables that say together what became of updates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_round(self, round_id: str, after: str, limit: int) -> list[Submitted]:
        """Return what came to a round, in order of subject, of up to ``limit`` subjects that come after one."""
        if not is_identifier(round_id):
            return []
        is_wanted = (submissions.c.round_id == round_id) & (submissions.c.subject > after) & (submissions.c.uses > 0)
        query = _submitted().where(is_wanted).order_by(submissions.c.subject).limit(limit)
        return [Submitted(**row._mapping) for row in await self._database.read("look up a round's updates", query)]

    async def of_subject(self, subject: str, limit: int) -> list[Submitted]:
        """Return what a subject sent to its latest ``limit`` rounds, newest first.

        Those are the rounds of which it is known that it contributed, or that something about its update was
        remarkable.
        """
        if not is_identifier(subject):
            return []
        contributed = select(contributions.c.round_id).where(contributions.c.subject == subject)
        newest = contributed.order_by(contributions.c.time.desc()).limit(limit)
        named = {row.round_id for row in await self._database.read("look up contributions", newest)}
        told = await self.verdicts([subject], 0.0, LAST_TIME, limit)
        named |= {one.round_id for one in told if one.round_id is not None}
        is_wanted = (submissions.c.subject == subject) & submissions.c.round_id.in_(named) & (submissions.c.uses > 0)
        query = _submitted().where(is_wanted).order_by(rounds.c.opens_at.desc(), rounds.c.id.desc()).limit(limit)
        return [Submitted(**row._mapping) for row in await self._database.read("look up a device's updates", query)]

    async def verdicts(
        self, subjects: Collection[str], since: float, until: float, limit: int = _MOST_VERDICTS
    ) -> list[Verdict]:
        """Return the remarkable verdicts on updates of subjects within a time (Unix seconds), newest first."""
        is_theirs = verdicts.c.subject.in_(subjects) & (verdicts.c.time >= since) & (verdicts.c.time <= until)
        query = select(verdicts.c.document).where(is_theirs).order_by(verdicts.c.id.desc()).limit(limit)
        what = "look up verdicts"
        rows = await self._database.read(what, query)
        with self._database.understanding(what):
            found = [Verdict.model_validate_json(row.document) for row in rows]
        return [one for one in found if one.channel == "updates"]

    async def refused(self, subjects: Collection[str], floor: str, ceiling: str) -> list[tuple[str, bytes]]:
        """Return id and document of the refusals of subjects' updates between two ids, newest first.

        As far as `MAX_SCAN` decisions reach back from the second.
        """
        is_within = (decisions.c.id > floor) & (decisions.c.id < ceiling)
        reach = select(decisions.c.id).where(is_within).order_by(decisions.c.id.desc()).limit(1).offset(MAX_SCAN)
        edge = await self._database.read("look how far decisions go", reach)
        begins = decisions.c.id > (edge[0].id if edge else floor)
        is_refusal = (decisions.c.action == _ACTION) & (decisions.c.outcome != "allow")
        query = select(decisions.c.id, decisions.c.document).where(
            is_within & begins & is_refusal & decisions.c.subject.in_(subjects)
        )
        rows = await self._database.read("look up refusals", query.order_by(decisions.c.id.desc()))
        return [(row.id, bytes(row.document)) for row in rows]


def _submitted() -> Select[Any]:
    is_its = (contributions.c.round_id == submissions.c.round_id) & (contributions.c.subject == submissions.c.subject)
    known = (submissions.c.round_id, submissions.c.subject, submissions.c.uses, contributions.c.decision_id)
    joined = submissions.outerjoin(contributions, is_its).join(rounds, rounds.c.id == submissions.c.round_id)
    return select(*known, rounds.c.opens_at, rounds.c.closes_at).select_from(joined)
