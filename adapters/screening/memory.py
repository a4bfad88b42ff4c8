"""What is remembered of earlier rounds: short sketches of their updates, and their digests. Bounded."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from adapters.screening.values import Array

OWN = 3
"""Earlier updates of a subject that its next one is compared with."""

_RIDGE = 1e-6


class Digests:
    """The latest digests, each with the round in which it came first.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rounds: OrderedDict[str, str] = OrderedDict()

    def came_before(self, digest: str, round_id: str) -> bool:
        """Whether an update with this digest came in another round."""
        return self._rounds.get(digest, round_id) != round_id

    def remember(self, digests: Iterable[str], round_id: str) -> None:
        """Keep a round's digests."""
        for digest in digests:
            self._rounds.setdefault(digest, round_id)
            self._rounds.move_to_end(digest)
        while len(self._rounds) > self._most:
            self._rounds.popitem(last=False)


@dataclass(frozen=True)
class Recalled:
    """How one update stands to those of earlier rounds; none where there is nothing to compare with."""

    innovation: float | None = None
    replay_cosine: float | None = None


@dataclass(frozen=True)
class _Past:
    """One round's directions: who sent them, and in which rows they are."""

    round_id: str
    rows: dict[str, int]


class Sketches:
    """The latest short sketches, whosever they are.

    They are in one table, whose rows are taken in turn: new directions are compared with all of them at once.

    Args:
        most: how many are kept; the oldest rounds go first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rounds: deque[_Past] = deque()
        self._table: Array = np.empty((0, 0), dtype=np.float32)
        self._next = 0
        self._used = 0

    def recall(self, subjects: Sequence[str], directions: Array, round_id: str) -> dict[str, Recalled]:
        """Compare directions with those of earlier rounds; empty where there were none.

        Args:
            subjects: whose they are.
            directions: (subjects, width), of length 1.
            round_id: what is remembered of this round does not count.
        """
        earlier = [past for past in self._rounds if past.rows and past.round_id != round_id]
        if not earlier:
            return {}
        cosines = directions @ self._table[: self._used].T
        rows = [row for past in earlier for row in past.rows.values()]
        if len(rows) < self._used:
            cosines = cosines[:, rows]
        own = self._innovations(subjects, directions, earlier)
        pairs = zip(subjects, np.clip(cosines.max(axis=1), -1.0, 1.0).tolist(), strict=True)
        return {subject: Recalled(own.get(subject), cosine) for subject, cosine in pairs}

    def remember(self, subjects: Sequence[str], directions: Array, round_id: str) -> None:
        """Keep a round's directions. Arguments as of `recall`."""
        subjects, directions = subjects[: self._most], directions[: self._most]
        if self._table.shape[1] != directions.shape[1]:
            self._table = np.empty((self._most, directions.shape[1]), dtype=np.float32)
        rows = (self._next + np.arange(len(subjects))) % max(self._most, 1)
        self._table[rows] = directions
        self._next = (self._next + len(subjects)) % max(self._most, 1)
        self._used = max(self._used, int(rows.max(initial=-1)) + 1)
        self._rounds.append(_Past(round_id, dict(zip(subjects, rows.tolist(), strict=True))))
        while sum(len(past.rows) for past in self._rounds) > self._most:
            self._rounds.popleft()

    def _innovations(self, subjects: Sequence[str], directions: Array, earlier: Sequence[_Past]) -> dict[str, float]:
        """Of those who are known: the share of the squared length that their latest directions do not explain."""
        own = [_own(subject, earlier) for subject in subjects]
        known = [at for at, rows in enumerate(own) if rows]
        if not known:
            return {}
        past = np.zeros((len(known), OWN, directions.shape[1]), dtype=np.float32)
        places = [(at, number, row) for at, which in enumerate(known) for number, row in enumerate(own[which])]
        ats, numbers, rows = zip(*places, strict=True)
        past[list(ats), list(numbers)] = self._table[list(rows)]
        gram = past @ past.transpose(0, 2, 1) + np.float32(_RIDGE) * np.eye(OWN, dtype=np.float32)
        along = past @ directions[known][:, :, None]
        explained = (along * np.linalg.solve(gram, along)).sum(axis=(1, 2))
        shares = np.clip(1.0 - explained, 0.0, 1.0).tolist()
        return {subjects[at]: share for at, share in zip(known, shares, strict=True)}


def _own(subject: str, earlier: Sequence[_Past]) -> list[int]:
    """The rows of a subject's latest directions, `OWN` at most."""
    found = (past.rows[subject] for past in reversed(earlier) if subject in past.rows)
    return list(islice(found, OWN))
