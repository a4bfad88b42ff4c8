"""What another policy changes: counted by action, reason and segment, with a few samples of each."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from controlplane.contracts.decision import Decision
from controlplane.contracts.policies import PolicyLayer
from controlplane.contracts.shadow import DISAGREEMENTS, MAX_GROUPS, SAMPLES, Disagreement
from controlplane.history.records import Recorded

MAX_SUBJECTS = 20
_NO_REASON = "none"


@dataclass(frozen=True)
class Sample:
    """One decision that would be another.

    Attributes:
        id: of the recorded decision: `ztfm policy explain` says more of it.
        time: Unix seconds.
        reasons: the codes that would be missing, or were.
    """

    id: str
    time: float
    subject: str
    resource: str
    reasons: tuple[str, ...]


@dataclass
class Group:
    """Decisions that change alike.

    Attributes:
        change: ``failed`` where there was nothing to compare with.
        reason: what would be missing, or was; a decision with several is counted under each.
    """

    change: Disagreement | Literal["failed"]
    action: str
    reason: str
    segment: str
    count: int = 0
    subjects: set[str] = field(default_factory=set)
    samples: list[Sample] = field(default_factory=list)


@dataclass
class Comparison:
    """Recorded decisions beside what another policy decides on the same facts.

    Attributes:
        decided: decisions that were compared.
        not_decided: recorded ones that no policy had decided (outcome ``error``); they are not compared.
        masked: recorded ones of which something was kept out that the other policy reads; they are not compared.
        failed: those on which the other policy gave no decision: compared as the denial that it is, or set aside.
        outcomes: how many were decided how, was and would be.
        layers: how many of those compared a layer below the base decided too, and is not asked again.
    """

    decided: int = 0
    not_decided: int = 0
    masked: int = 0
    failed: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    layers: Counter[PolicyLayer] = field(default_factory=Counter)
    changes: Counter[Disagreement] = field(default_factory=Counter)
    groups: dict[tuple[str, ...], Group] = field(default_factory=dict)
    subjects: dict[Disagreement, Counter[str]] = field(
        default_factory=lambda: {change: Counter() for change in DISAGREEMENTS}
    )

    @property
    def is_changed(self) -> bool:
        """Whether anything would be decided otherwise."""
        return bool(self.changes)

    def add(self, was: Recorded, becomes: Decision) -> None:
        """Take one decision into account."""
        if was.document["outcome"] == "error":
            self.not_decided += 1
            return
        self.decided += 1
        self.failed += becomes.outcome == "error"
        self.outcomes[was.document["outcome"], becomes.outcome] += 1
        change = change_of(was, becomes)
        if change is not None:
            self._count(change, was, becomes)

    def set_aside(self, was: Recorded, becomes: Decision) -> None:
        """Count a decision on which the other policy gave none, and compare nothing."""
        self.failed += 1
        self._group("failed", was, frozenset(reason.code for reason in becomes.reasons))

    def _count(self, change: Disagreement, was: Recorded, becomes: Decision) -> None:
        self.changes[change] += 1
        self.subjects[change][str(was.document["subject"])] += 1
        now_missing = frozenset(reason.code for reason in becomes.reasons)
        codes = {"newly_denied": now_missing, "newly_allowed": was.codes, "other_reasons": now_missing ^ was.codes}
        self._group(change, was, codes.get(change, frozenset()))

    def _group(self, change: Disagreement | Literal["failed"], was: Recorded, codes: frozenset[str]) -> None:
        reasons = tuple(sorted(codes)) or (_NO_REASON,)
        subject = str(was.document["subject"])
        sample = Sample(was.id, was.document["time"], subject, str(was.document["resource"]), reasons)
        for reason in reasons:
            key = (change, str(was.document["action"]), reason, was.segment)
            group = self.groups.get(key)
            if group is None:
                if len(self.groups) >= MAX_GROUPS:
                    continue
                group = self.groups[key] = Group(change, *key[1:])
            group.count += 1
            group.subjects.add(subject)
            if len(group.samples) < SAMPLES:
                group.samples.append(sample)


def change_of(was: Recorded, becomes: Decision) -> Disagreement | None:
    """Return how a decision would be another; none when it would be the same."""
    was_allowed = was.document["outcome"] == "allow"
    if was_allowed != becomes.allowed:
        return "newly_denied" if was_allowed else "newly_allowed"
    if not was_allowed:
        return None if was.codes == {reason.code for reason in becomes.reasons} else "other_reasons"
    terms: dict[str, Any] = becomes.obligations.model_dump()
    # What only an earlier version knew, nothing can be like.
    known = {name: value for name, value in was.document["obligations"].items() if name in terms}
    is_same = terms == {**terms, **known} and becomes.ttl_seconds == was.document["ttl_seconds"]
    return None if is_same else "other_terms"
