"""Read a control plane again and again for ``ztfm top``: what cannot be read is told, and the rest goes on."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from controlplane.audit import AuditUnavailable
from controlplane.cli.asked import Away, Unanswered
from controlplane.cli.exposition import Change, Scrape, parse
from controlplane.cli.sources import Source
from controlplane.cli.top_frame import Frame, Readings, frame
from controlplane.contracts.decision import Decision, DecisionQuery, Outcome
from controlplane.contracts.rounds import RoundQuery
from controlplane.storage.errors import StoreError

WINDOW_SECONDS = 10.0
"""Rates and quantiles are told over this time, or one interval where that is longer."""

DENIED = 20
LEAST = 20
ROUNDS = 50
_LOOK_BACK_SECONDS = 3600.0
_LATE_SECONDS = 5.0
"""A decision may be on record this much later than one that was made after it."""

_NOT_ALLOWED: tuple[Outcome, ...] = ("deny", "error")

Result = TypeVar("Result")


class Reader:
    """Makes frames of a control plane. Time comes in, so that a test may let it pass.

    Args:
        source: what is looked at.
        clock: Unix seconds.
        ticks: seconds that only go forward.
    """

    def __init__(self, source: Source, clock: Callable[[], float], ticks: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._ticks = ticks
        self._scrapes: deque[Scrape] = deque()
        self._denied: dict[str, Decision] = {}
        self._away_since: float | None = None
        self._back_since: float | None = None
        self._faults: list[str] = []

    async def frame(self) -> Frame:
        """Read everything once, side by side, and return what is to be shown."""
        self._faults = []
        now = self._clock()
        records = self._source.records
        text, ready, least, rounds, subjects, _ = await asyncio.gather(
            self._told("", self._source.metrics()),
            self._told("", self._source.readiness()),
            self._told("trust", records.standings(None, None, "trust", LEAST)),
            self._told("rounds", records.rounds(RoundQuery(), ROUNDS)),
            self._told("trust", records.subjects()),
            self._told("decisions", self._look_for_denied(now)),
        )
        away = self._away(now, text, ready)
        return frame(
            Readings(
                time=now,
                place=self._source.place,
                away=away,
                away_since=self._away_since,
                back_since=self._back_since,
                faults=list(dict.fromkeys(self._faults)),
                ready=ready if isinstance(ready, dict) else None,
                change=self._change(text),
                subjects=subjects if isinstance(subjects, dict) else None,
                least=_listed(least),
                rounds=_listed(rounds),
                denied=sorted(self._denied.values(), key=lambda one: (-one.time, one.id)),
            )
        )

    def _away(self, now: float, *answers: object) -> str:
        """Return why nobody answers, and remember since when; empty while somebody does."""
        reason = next((str(one) for one in answers if isinstance(one, Away)), "")
        if reason:
            self._away_since = self._away_since or now
        elif self._away_since is not None:
            self._away_since, self._back_since = None, now
        return reason

    def _change(self, text: object) -> Change | None:
        """Return what changed over the window; none, and nothing remembered, where the metrics are not known."""
        if not isinstance(text, str):
            self._scrapes.clear()
            return None
        try:
            scrape = parse(text, self._ticks())
        except ValueError:
            self._faults.append("the metrics cannot be read: compare the versions of both sides")
            self._scrapes.clear()
            return None
        while len(self._scrapes) > 1 and scrape.at - self._scrapes[1].at >= WINDOW_SECONDS:
            self._scrapes.popleft()
        self._scrapes.append(scrape)
        return Change(self._scrapes[0] if len(self._scrapes) > 1 else None, scrape)

    async def _look_for_denied(self, now: float) -> None:
        """Remember the newest decisions that were no allow; what was seen before is not read again."""
        newest = max((one.time for one in self._denied.values()), default=now - _LOOK_BACK_SECONDS + _LATE_SECONDS)
        since = max(0.0, newest - _LATE_SECONDS)
        for outcome in _NOT_ALLOWED:
            found, _ = await self._source.records.decisions(DecisionQuery(outcome=outcome, since=since), DENIED)
            self._denied.update((one.id, one) for one in found)
        kept = sorted(self._denied.values(), key=lambda one: -one.time)[:DENIED]
        self._denied = {one.id: one for one in kept}

    async def _told(self, what: str, work: Awaitable[Result]) -> Result | Unanswered | None:
        """Return what is read; why nobody answers; or none, with the fault remembered."""
        try:
            return await work
        except Away as away:
            return away
        except (Unanswered, StoreError, AuditUnavailable, OSError) as error:
            self._faults.append(f"{what}: {error}" if what else str(error))
            return None


def _listed(found: object) -> Sequence[Any]:
    return found if isinstance(found, list) else ()
