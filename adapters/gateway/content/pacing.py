"""A lower rate: subjects that policy slows down ask no more often than it says, for a while."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

SLOWED_SECONDS = 600.0
"""For how long a subject is slowed after policy last said so."""

AT_ONCE = 2
"""Requests that may follow one another before the pace counts."""

MOST_SUBJECTS = 16_384
"""Slowed at the same time; then the one that was slowed longest ago is let go."""


@dataclass(slots=True)
class _Pace:
    interval: float
    until: float
    due: float


class Pacing:
    """Slows subjects down, by the generic cell rate algorithm (ITU-T I.371).

    Args:
        clock: seconds that do not go back.
        subjects: slowed at the same time.
    """

    def __init__(self, clock: Callable[[], float], subjects: int = MOST_SUBJECTS) -> None:
        self._clock, self._most = clock, subjects
        self._paces: OrderedDict[str, _Pace] = OrderedDict()

    def slow(self, subject: str, requests_per_minute: int) -> None:
        """Let a subject ask so often from now on; a slower pace that still counts stays."""
        now, interval = self._clock(), 60.0 / max(1, requests_per_minute)
        known = self._paces.pop(subject, None)
        if known is not None and known.until > now:
            known.interval, known.until = max(known.interval, interval), now + SLOWED_SECONDS
        else:
            # The request for which it is slowed is its first.
            known = _Pace(interval, now + SLOWED_SECONDS, now + interval)
        if len(self._paces) >= self._most:
            self._paces.popitem(last=False)
        self._paces[subject] = known

    def wait(self, subject: str) -> float:
        """Take a request of a subject; return 0, or the seconds until it may ask again, and then none was taken."""
        known, now = self._paces.get(subject), self._clock()
        if known is None:
            return 0.0
        if known.until <= now:
            del self._paces[subject]
            return 0.0
        early = known.due - now - (AT_ONCE - 1) * known.interval
        if early > 0.0:
            return early
        known.due = max(known.due, now) + known.interval
        return 0.0
