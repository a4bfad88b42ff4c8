"""What is remembered of earlier rounds: short sketches of their updates, and their digests. Bounded."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

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
    """One round's directions: (updates, width), and whose they are."""

    round_id: str
    places: dict[str, int]
    directions: Array


class Sketches:
    """The latest short sketches, whosever they are.

    Args:
        most: how many are kept; the oldest rounds go first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rounds: deque[_Past] = deque()

    def recall(self, subjects: Sequence[str], directions: Array, round_id: str) -> dict[str, Recalled]:
        """Compare directions with those of earlier rounds; empty where there were none.

        Args:
            subjects: whose they are.
            directions: (subjects, width), of length 1.
            round_id: what is remembered of this round does not count.
        """
        earlier = [past for past in self._rounds if past.round_id != round_id]
        if not earlier:
            return {}
        highest = np.max([(directions @ past.directions.T).max(axis=1) for past in earlier], axis=0)
        own = _innovations(subjects, directions, earlier)
        pairs = zip(subjects, np.clip(highest, -1.0, 1.0).tolist(), strict=True)
        return {subject: Recalled(own.get(subject), cosine) for subject, cosine in pairs}

    def remember(self, subjects: Sequence[str], directions: Array, round_id: str) -> None:
        """Keep a round's directions. Arguments as of `recall`."""
        subjects, directions = subjects[: self._most], directions[: self._most]
        self._rounds.append(_Past(round_id, {subject: at for at, subject in enumerate(subjects)}, directions))
        while sum(len(past.places) for past in self._rounds) > self._most:
            self._rounds.popleft()


def _innovations(subjects: Sequence[str], directions: Array, earlier: Sequence[_Past]) -> dict[str, float]:
    """Of those who are known: the share of the squared length that their own latest directions do not explain."""
    own = {subject: list(_own(subject, earlier)) for subject in subjects}
    known = [at for at, subject in enumerate(subjects) if own[subject]]
    if not known:
        return {}
    past = np.zeros((len(known), OWN, directions.shape[1]), dtype=np.float32)
    for row, at in enumerate(known):
        past[row, : len(own[subjects[at]])] = own[subjects[at]]
    gram = past @ past.transpose(0, 2, 1) + np.float32(_RIDGE) * np.eye(OWN, dtype=np.float32)
    along = past @ directions[known][:, :, None]
    explained = (along * np.linalg.solve(gram, along)).sum(axis=(1, 2))
    shares = np.clip(1.0 - explained, 0.0, 1.0).tolist()
    return {subjects[at]: share for at, share in zip(known, shares, strict=True)}


def _own(subject: str, earlier: Sequence[_Past]) -> Iterator[Array]:
    """A subject's latest directions, `OWN` at most."""
    found = 0
    for past in reversed(earlier):
        at = past.places.get(subject)
        if at is not None:
            yield past.directions[at]
            found += 1
            if found == OWN:
                return
