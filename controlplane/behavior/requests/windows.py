"""Requests, folded by subject into windows: what was asked, from where, and what was denied; bounded."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from controlplane.behavior.requests.familiar import mark_of, network_of, pair_of

SUBJECTS = 65_536
"""Subjects of a window at most; requests of more are dropped and counted."""

PAIRS = 64
"""Different actions on resources of a window that are told apart; more count as one."""

USES = 16
"""Models of which is remembered when a subject was last allowed to use them."""

NETWORKS = 16
_MORE = -1


class Observation(NamedTuple):
    """One request that was decided.

    Attributes:
        time: Unix seconds.
        subject: who asked.
        segment: where it lives.
        action: what for.
        resource: of what.
        address: whence.
        allowed: whether it may go on.
    """

    time: float
    subject: str
    segment: str
    action: str
    resource: str
    address: str
    allowed: bool


@dataclass(slots=True)
class Window:
    """What one subject asked in one window.

    Attributes:
        segment: where it lives.
        requests: how many.
        denied: of them.
        pairs: requests by action and resource.
        networks: requests by network.
        used: by mark of a model, when an inference was last allowed, Unix seconds.
    """

    segment: str
    requests: int = 0
    denied: int = 0
    pairs: Counter[int] = field(default_factory=Counter)
    networks: Counter[str] = field(default_factory=Counter)
    used: dict[str, float] = field(default_factory=dict)

    def add(self, seen: Observation) -> None:
        """Fold one request."""
        self.segment = seen.segment
        self.requests += 1
        self.denied += not seen.allowed
        pair, network = pair_of(seen.action, seen.resource), network_of(seen.address)
        self.pairs[pair if pair in self.pairs or len(self.pairs) < PAIRS else _MORE] += 1
        if network in self.networks or len(self.networks) < NETWORKS:
            self.networks[network] += 1
        if seen.allowed and seen.action == "inference":
            self.used = latest(self.used, {mark_of(seen.resource): seen.time})


def latest(*times: Mapping[str, float]) -> dict[str, float]:
    """Return the latest time (Unix seconds) of each model, of the models that were used last."""
    found: dict[str, float] = {}
    for some in times:
        for name, time in some.items():
            found[name] = max(time, found.get(name, 0.0))
    return dict(sorted(found.items(), key=lambda one: one[1])[-USES:])


@dataclass(frozen=True, slots=True)
class Closed:
    """A window that is over.

    Attributes:
        started_at: Unix seconds.
        seconds: its length.
        subjects: what each of them asked.
    """

    started_at: float
    seconds: float
    subjects: Mapping[str, Window]


class Windows:
    """The current window. Windows begin at multiples of their length, at every replica alike.

    Args:
        seconds: length of a window.
        most: subjects of a window.

    Attributes:
        folded: requests that were folded.
        dropped: requests that were not, for lack of room, or because they are of a window that is over.
    """

    def __init__(self, seconds: float, most: int = SUBJECTS) -> None:
        self.seconds = seconds
        self.folded = 0
        self.dropped = 0
        self._most = most
        self._number = -1
        self._subjects: dict[str, Window] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nobody asked for anything in the current window yet."""
        return not self._subjects

    def fold(self, seen: Observation) -> Closed | None:
        """Fold one request; return the window that it ended, if it did."""
        closed = self.close(seen.time)
        window = self._subjects.get(seen.subject)
        if int(seen.time // self.seconds) < self._number or (window is None and len(self._subjects) >= self._most):
            self.dropped += 1
            return closed
        if window is None:
            window = self._subjects[seen.subject] = Window(seen.segment)
        window.add(seen)
        self.folded += 1
        return closed

    def close(self, now: float) -> Closed | None:
        """Return the current window if it is over at ``now`` (Unix seconds) and somebody asked for something in it."""
        number = int(now // self.seconds)
        if number <= self._number:
            return None
        closed = Closed(self._number * self.seconds, self.seconds, self._subjects) if self._subjects else None
        self._number, self._subjects = number, {}
        return closed
