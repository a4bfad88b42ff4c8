"""How trust moved lately: what is kept of it, so that policy can ask for more than trust as it is now."""

from typing import Annotated, Self

from pydantic import Field

from controlplane.contracts.base import Share, StrictModel, Timestamp

DAY_SECONDS = 86_400
HISTORY_DAYS = 7
"""Lows are kept of so many whole days, and of the day that has begun."""

LEAST_FALL = 1e-9
"""What is less is rounding: trust that has come to rest moves by as much."""


class TrustHistory(StrictModel):
    """How a subject's trust moved lately; constant in size.

    Attributes:
        score: the trust with which it ends.
        begun: since when it is kept, Unix seconds.
        steady_since: when trust last fell, Unix seconds; where it never did, when this was begun.
        lows: the lowest trust of each day on which it was looked at, by days since 1970-01-01 UTC.
    """

    score: Share
    begun: Timestamp
    steady_since: Timestamp
    lows: Annotated[list[tuple[Annotated[int, Field(ge=0)], Share]], Field(max_length=HISTORY_DAYS + 1)]

    @classmethod
    def of(cls, score: float, now: float) -> Self:
        """Return the history of trust that is looked at for the first time at ``now`` (Unix seconds)."""
        return cls(score=score, begun=now, steady_since=now, lows=[(int(now // DAY_SECONDS), score)])

    @classmethod
    def read(cls, kept: str | None, score: float) -> Self | None:
        """Return what was kept as JSON of trust that is ``score`` now.

        None where nothing was kept, or what was is no history of this trust: it does not end there, because something
        that keeps no history has changed it.
        """
        try:
            found = None if kept is None else cls.model_validate_json(kept)
        except ValueError:
            return None
        return found if found is not None and found.score == score else None

    def after(self, score: float, now: float) -> "TrustHistory":
        """Return the history when trust is ``score`` from ``now`` on (Unix seconds)."""
        today = int(now // DAY_SECONDS)
        lows = {today: min(self.score, score)}
        for day, low in self.lows:
            if day >= today - HISTORY_DAYS:
                # A day that has not come, by the clock of another machine, counts as this one.
                lows[min(day, today)] = min(low, lows.get(min(day, today), 1.0))
        has_fallen = score < self.score - LEAST_FALL
        return TrustHistory(
            score=score,
            begun=self.begun,
            steady_since=now if has_fallen else self.steady_since,
            lows=sorted(lows.items()),
        )

    def lowest(self, now: float) -> float:
        """Return the lowest trust of the seven days before ``now`` (Unix seconds), the first of which counts whole."""
        first = int(now // DAY_SECONDS) - HISTORY_DAYS
        return min([self.score, *(low for day, low in self.lows if day >= first)])
