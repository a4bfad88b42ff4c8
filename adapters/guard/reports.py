"""What a guard did, as values: for the job's own log, a table at the end, a test."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from controlplane.contracts.decision import Aggregation
from controlplane.contracts.rollback import RollbackResult
from controlplane.contracts.rounds import UpdateVerdict

Point = Literal["identify", "admit", "pull", "seal", "gate", "archive"]
"""Where in a round something was left out."""

MOST_DROPS = 256
"""Of a round that are kept one by one: whoever reaches the aggregator can make it drop something, again and again."""

_ROUNDS_KEPT = 1000


@dataclass(frozen=True)
class Drop:
    """Something that was left out.

    Attributes:
        point: where.
        cause: why: a cause of `capabilities.refusals`, the first reason code of a policy, or one of
            ``unavailable``, ``absent``, ``failed``, ``declined``, ``malformed``, ``not_invited``,
            ``cohort_too_small``, ``too_large``, ``no_sum``, ``group_refused``.
        subject: whose it was; empty where nobody knows.
        round_id: in which round; empty before there was one.
    """

    point: Point
    cause: str
    subject: str = ""
    round_id: str = ""


@dataclass(frozen=True)
class RolledBack:
    """An order to rebuild the model that was carried out, or could not be.

    Attributes:
        order: its id.
        subjects: whose updates were to be left out.
        result: what became of it.
        is_told: the control plane knows.
    """

    order: str
    subjects: tuple[str, ...]
    result: RollbackResult
    is_told: bool


@dataclass(frozen=True)
class ArchiveStanding:
    """What is kept of earlier rounds.

    Attributes:
        rounds: how many.
        size_bytes: what they take on the disk.
        not_replayable: of these, which cannot be done again.
    """

    rounds: int
    size_bytes: int
    not_replayable: int


@dataclass(frozen=True)
class RoundReport:
    """What became of one round.

    Attributes:
        round_id: the round.
        members: subjects that might take part.
        pulled: of these, whose pull held.
        submitted: updates that arrived.
        accepted: of these, what may enter the aggregate.
        clipped: of these, what was scaled down.
        quarantined: subjects that are set apart since this round.
        drops: what was left out, in order: the first 256.
        dropped: (point, cause), with how often; all of it.
        verdicts: the control plane's, by subject.
        aggregation: how updates were brought together, as policy picked.
        rollbacks: orders that were carried out after it.
    """

    round_id: str
    members: int
    pulled: int = 0
    submitted: int = 0
    accepted: int = 0
    clipped: int = 0
    quarantined: tuple[str, ...] = ()
    drops: tuple[Drop, ...] = ()
    dropped: Mapping[tuple[Point, str], int] = field(default_factory=dict)
    verdicts: Mapping[str, UpdateVerdict] = field(default_factory=dict)
    aggregation: Aggregation = "mean"
    rollbacks: tuple[RolledBack, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return as JSON what became of the round; its verdicts are at the control plane."""
        return {
            "round": self.round_id,
            "members": self.members,
            "pulled": self.pulled,
            "submitted": self.submitted,
            "accepted": self.accepted,
            "clipped": self.clipped,
            "aggregation": self.aggregation,
            "quarantined": list(self.quarantined),
            "drops": [[drop.point, drop.cause, drop.subject] for drop in self.drops],
            "rollbacks": [[list(one.subjects), one.result.state, one.result.rounds] for one in self.rollbacks],
        }


@dataclass
class GuardReport:
    """What a guard did since it was made.

    Attributes:
        rounds: the latest 1000 that were gated.
        opened: rounds that were opened.
        gated: of these, how many were gated.
        gated_at: when the last one was, Unix seconds; 0 before.
        pulls: ``allowed``, or the cause of the refusal, with how often.
        updates: ``accepted``, or the cause, with how often.
        drops: (point, cause), with how often.
        rollbacks: ``done`` or ``failed``, with how often.
        archive: what is kept of earlier rounds; none where nothing is.
        sums: of groups: ``done``, or why there is none, with how often.
        summed: members of groups: ``summed`` or ``dropped``, with how often.
    """

    rounds: deque[RoundReport] = field(default_factory=lambda: deque(maxlen=_ROUNDS_KEPT))
    opened: int = 0
    gated: int = 0
    gated_at: float = 0.0
    pulls: Counter[str] = field(default_factory=Counter)
    updates: Counter[str] = field(default_factory=Counter)
    drops: Counter[tuple[Point, str]] = field(default_factory=Counter)
    rollbacks: Counter[str] = field(default_factory=Counter)
    archive: ArchiveStanding | None = None
    sums: Counter[str] = field(default_factory=Counter)
    summed: Counter[str] = field(default_factory=Counter)

    def summary(self) -> dict[str, Any]:
        """Return as JSON what became of each round that is kept, and all that was left out with how often."""
        drops = [[*about, count] for about, count in sorted(self.drops.items())]
        return {"rounds": [one.summary() for one in self.rounds], "drops": drops}
