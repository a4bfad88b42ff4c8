"""How one subject uses one model, in a few kilobytes whatever it asks: the numbers that a window is reported with."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.signals.fingerprints import Fingerprint
from adapters.signals.sketches import Bitmap
from controlplane.contracts.signals import InferenceSignals

REMEMBERED = 64
"""Queries that the next one is compared with; who spreads look-alikes further apart than that is not seen."""

FEW = 16
"""Of so many earlier queries at least is crowding a share."""

DIFFERENT = 1024
"""Cells in which different queries of a window are counted."""

MOST = 1_000_000_000
"""To which is counted: what `controlplane.contracts.base.Count` holds."""

LATELY_SECONDS = 3600.0
"""How far back coverage looks, and up to twice as far."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A query, as it was looked at.

    Attributes:
        fingerprint: none for one that could not be read.
        cells: of the input space that it lies in.
        is_injection: a classifier holds it to be an attempt.
        has_secret: it holds what looks like a credential.
        prompt_tokens: its length.
        answer_tokens: length of its answer.
    """

    fingerprint: Fingerprint | None
    cells: Sequence[int]
    is_injection: bool
    has_secret: bool
    prompt_tokens: int
    answer_tokens: int


class Use:
    """Folds queries into the numbers of the current window; what was asked lately is remembered across windows.

    Args:
        space: cells of the input space.
        now: Unix seconds.
    """

    def __init__(self, space: int, now: float) -> None:
        self._space = space
        self._recent: deque[Fingerprint] = deque(maxlen=REMEMBERED)
        self._reached, self._reached_before = Bitmap(space), Bitmap(space)
        self._reaching_since = now
        self._begin()

    @property
    def queries(self) -> int:
        """Folded in this window."""
        return self._queries

    def _begin(self) -> None:
        self._queries = self._prompt_tokens = self._answer_tokens = 0
        self._repeated = self._near = self._injections = self._secrets = 0
        self._crowding = 0.0
        self._different = Bitmap(DIFFERENT)

    def add(self, seen: Seen) -> None:
        """Fold one query."""
        self._queries = min(MOST, self._queries + 1)
        self._prompt_tokens = min(MOST, self._prompt_tokens + max(0, seen.prompt_tokens))
        self._answer_tokens = min(MOST, self._answer_tokens + max(0, seen.answer_tokens))
        self._injections += seen.is_injection
        self._secrets += seen.has_secret
        fingerprint = seen.fingerprint
        if fingerprint is None:
            return
        if any(other.whole == fingerprint.whole for other in self._recent):
            self._repeated += 1
        else:
            near = fingerprint.near(self._recent)
            self._near += near > 0
            self._crowding += near / max(FEW, len(self._recent))
        self._recent.append(fingerprint)
        self._different.mark((fingerprint.whole,))
        self._reached.mark(seen.cells)

    def close(self, subject: str, model: str, started_at: float, seconds: float) -> InferenceSignals:
        """Return what the window is reported with, and begin the next one.

        Raises:
            ValueError: it is nothing that can be reported; the next one is begun all the same.
        """
        try:
            return self._told(subject, model, started_at, seconds)
        finally:
            self._begin()
            if started_at + seconds - self._reaching_since >= LATELY_SECONDS:
                self._reached, self._reached_before = Bitmap(self._space), self._reached
                self._reaching_since = started_at + seconds

    def _told(self, subject: str, model: str, started_at: float, seconds: float) -> InferenceSignals:
        queries = self._queries
        return InferenceSignals(
            subject=subject,
            model=model,
            started_at=started_at,
            seconds=seconds,
            queries=queries,
            prompt_tokens=self._prompt_tokens,
            answer_tokens=self._answer_tokens,
            distinct=min(queries, self._different.estimate()),
            coverage=self._reached.joined(self._reached_before).share,
            repeated=self._repeated / queries,
            near_duplicates=self._near / queries,
            crowding=self._crowding / queries,
            injections=self._injections,
            secrets=self._secrets,
        )
