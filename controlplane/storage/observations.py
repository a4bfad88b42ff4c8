"""What observations leave behind: scores that others are compared with, and verdicts for whoever asks why."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.behaviour import Channel, Verdict
from controlplane.contracts.observed import Observed
from controlplane.storage.database import Database
from controlplane.storage.tables_behaviour import behaviour, behaviour_scores, behaviour_verdicts

MOST_SCORES = 4096
"""Of one class, the latest so many are looked at."""

_APART = ("quarantined", "recovering")


class Observations:
    """The tables of scores and verdicts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent(
        self, channel: Channel, peers: str, rounds: int | None = None, *, apart_from: str = "", limit: int = MOST_SCORES
    ) -> list[tuple[str, float]]:
        """Return subjects and scores of a class's latest observations, newest first.

        Those of who is quarantined or on probation say nothing of how others behave.

        Args:
            channel: where it was observed.
            peers: the class.
            rounds: the latest so many alone; none for all.
            apart_from: a round that does not count, such as the one that is judged.
            limit: scores at most.
        """
        if rounds == 0:
            return []
        scores = behaviour_scores.c
        is_wanted = (scores.channel == channel) & (scores.peers == peers)
        if apart_from:
            is_wanted &= scores.round_id != apart_from
        is_apart = behaviour.c.state.is_not(None) & behaviour.c.state.in_(_APART)
        query = (
            select(scores.subject, scores.score, scores.round_id)
            .outerjoin(behaviour, behaviour.c.subject == scores.subject)
            .where(is_wanted & ~is_apart)
            .order_by(scores.id.desc())
            .limit(min(max(limit, 1), MOST_SCORES))
        )
        found = await self._database.read("look up scores", query)
        latest = set(list(dict.fromkeys(row.round_id for row in found))[:rounds])
        return [(row.subject, row.score) for row in found if row.round_id in latest]

    async def verdicts(self, subject: str, limit: int) -> list[Verdict]:
        """Return up to ``limit`` verdicts on a subject, newest first."""
        verdicts = behaviour_verdicts.c
        query = select(verdicts.document).where(verdicts.subject == subject).order_by(verdicts.id.desc()).limit(limit)
        what = "look up verdicts"
        rows = await self._database.read(what, query)
        with self._database.understanding(what):
            return [Verdict.model_validate_json(row.document) for row in rows]

    async def purge(self, scores_before: float, verdicts_before: float, windows_before: float = 0.0) -> int:
        """Forget what was observed and judged before these times (Unix seconds); return how much.

        Args:
            scores_before: of scores.
            verdicts_before: of verdicts.
            windows_before: of scores of windows, which are made by the minute.
        """
        scores = behaviour_scores.c
        windows = delete(behaviour_scores).where((scores.channel != "updates") & (scores.time < windows_before))
        forgotten = await self._database.change("forget old behaviour", windows)
        for table, before in ((behaviour_scores, scores_before), (behaviour_verdicts, verdicts_before)):
            forgotten += await self._database.change("forget old behaviour", delete(table).where(table.c.time < before))
        return forgotten


async def add_scores(connection: AsyncConnection, observed: Sequence[Observed]) -> None:
    """Add scores within a transaction."""
    rows = [
        {
            "channel": score.channel,
            "peers": score.peers,
            "round_id": score.round_id,
            "subject": one.subject,
            "score": score.value,
            "time": score.time,
        }
        for one in observed
        if (score := one.score) is not None
    ]
    if rows:
        await connection.execute(insert(behaviour_scores), rows)


async def add_verdicts(connection: AsyncConnection, observed: Sequence[Observed]) -> None:
    """Add verdicts within a transaction."""
    rows = [
        {
            "subject": verdict.subject,
            "time": verdict.time,
            "document": verdict.model_dump_json(exclude_none=True).encode(),
        }
        for one in observed
        if (verdict := one.verdict) is not None
    ]
    if rows:
        await connection.execute(insert(behaviour_verdicts), rows)
