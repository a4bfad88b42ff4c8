"""Probing: whether a subject feels around a point of a model's input space, and how much of the space it has reached.

Kept by subject and model in some kilobytes, in this process alone: two gateways see half of it each.
"""

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from math import isfinite
from threading import Lock

from adapters.signals.fingerprints import Fingerprint, TextFingerprints, VectorFingerprints
from adapters.signals.sketches import Bitmap
from adapters.signals.use import LATELY_SECONDS, REMEMBERED

NEAR_SECONDS = 60.0
"""For how long after a near duplicate the subject's answers count as answers to one: requests overlap."""

MOST_TRAILS = 2048
"""Subjects and models that are remembered; then the one that asked longest ago is forgotten."""

MAX_NUMBERS = 16_384
"""Of a vector that make a difference; of larger ones, as pictures are, those at the beginning."""


class Probing:
    """Remembers fingerprints of what was asked; no query can be read from them.

    Args:
        clock: Unix seconds.
        trails: subjects and models that are remembered.
    """

    def __init__(self, clock: Callable[[], float], trails: int = MOST_TRAILS) -> None:
        self._clock, self._most = clock, trails
        self._texts, self._vectors = TextFingerprints(), VectorFingerprints()
        self._trails: OrderedDict[tuple[str, str], _Trail] = OrderedDict()
        self._turn = Lock()

    def add(self, subject: str, model: str, texts: Sequence[str]) -> None:
        """Remember a prompt: all its texts are one query. A JSON list of numbers is a vector."""
        found = [self._looked_at(text) for text in _queries(texts)]
        with self._turn:
            self._trail(subject, model).add(found)

    def seen(self, subject: str, model: str) -> tuple[bool, float]:
        """Return whether a subject asked a near duplicate just now, and the share of the space it reached lately."""
        with self._turn:
            return self._trail(subject, model).seen()

    def _looked_at(self, query: str | Sequence[float]) -> tuple[Fingerprint, Sequence[int], int]:
        if isinstance(query, str):
            return *self._texts(query), self._texts.space
        return *self._vectors(query), self._vectors.space

    def _trail(self, subject: str, model: str) -> "_Trail":
        trail = self._trails.pop((subject, model), None) or _Trail(self._clock)
        if len(self._trails) >= self._most:
            self._trails.popitem(last=False)
        self._trails[subject, model] = trail
        return trail


class _Trail:
    """What one subject asked one model lately."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._recent: deque[Fingerprint] = deque(maxlen=REMEMBERED)
        self._reached: dict[int, tuple[Bitmap, Bitmap]] = {}
        self._reaching_since = clock()
        self._near_until = 0.0

    def add(self, found: Sequence[tuple[Fingerprint, Sequence[int], int]]) -> None:
        self._age()
        for fingerprint, cells, space in found:
            if fingerprint.near(self._recent):
                self._near_until = self._clock() + NEAR_SECONDS
            self._recent.append(fingerprint)
            self._reached.setdefault(space, (Bitmap(space), Bitmap(space)))[0].mark(cells)

    def seen(self) -> tuple[bool, float]:
        self._age()
        shares = [now.joined(before).share for now, before in self._reached.values()]
        return self._clock() < self._near_until, max(shares, default=0.0)

    def _age(self) -> None:
        if self._clock() - self._reaching_since >= LATELY_SECONDS:
            self._reached = {space: (Bitmap(space), now) for space, (now, _) in self._reached.items()}
            self._reaching_since = self._clock()


def _queries(texts: Sequence[str]) -> list[str | Sequence[float]]:
    """Return vectors by themselves, and all other texts as one."""
    vectors = [_vector(text) for text in texts]
    words = "\n".join(text for text, vector in zip(texts, vectors, strict=True) if vector is None and text.strip())
    return [*(vector for vector in vectors if vector), *([words] if words else [])]


def _vector(text: str) -> list[float] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        flat = _flat(json.loads(text))
    except (ValueError, RecursionError, OverflowError):
        return None
    return flat[:MAX_NUMBERS] if flat and all(map(isfinite, flat)) else None


def _flat(value: object) -> list[float]:
    """Return the numbers of lists within lists, in order; each is touched once, however deep it lies."""
    flat: list[float] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(reversed(one))
        elif isinstance(one, bool) or not isinstance(one, int | float):
            raise ValueError("no number")
        else:
            flat.append(float(one))
    return flat
