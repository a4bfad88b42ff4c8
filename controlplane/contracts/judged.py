"""What became of the updates of a round, or of a device's updates over rounds, and why."""

from typing import Annotated

from pydantic import Field, StringConstraints

from controlplane.contracts.access import AccessReason
from controlplane.contracts.base import Count, Identifier, Share, StrictModel, Timestamp
from controlplane.contracts.behaviour import Attribution, BehaviourState, EValue
from controlplane.contracts.decision import MAX_PAGE_TOKEN, MAX_REASONS, Outcome
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import MAX_MEMBERS, RoundStanding

MAX_JUDGED = 200
"""Updates of one page."""


class JudgedUpdate(StrictModel):
    """An update that came with a capability that held, and what became of it.

    What is none is not on record, or not any more: decisions and verdicts are kept for a time, and policy may have
    evidence left out of what is recorded.

    Attributes:
        submitted: how many of the subject's came to the round.
        outcome: ``allow`` for one that went into the model.
        decision_id: by which it was admitted or dropped.
        time: of that decision, Unix seconds.
        reasons: what it lacked.
        clip_norm_ratio: it was scaled down to this multiple of the cohort's median norm; none for no bound.
        state: where its subject stood from then on.
        p_value: share of comparable peers' updates that deviate as much, or of the calibration's where that is less.
        e_value: the evidence against its subject, after it.
        trust: the subject's, after it.
        evidence: what screening measured.
        attribution: why it stands out, by measurement and by layer; none for an unremarkable one.
    """

    round_id: Identifier
    subject: Identifier
    submitted: Count
    outcome: Outcome | None = None
    decision_id: Identifier | None = None
    time: Timestamp | None = None
    reasons: Annotated[list[AccessReason], Field(max_length=MAX_REASONS)] = Field(default_factory=list)
    clip_norm_ratio: Annotated[float, Field(gt=0.0, le=1e6)] | None = None
    state: BehaviourState | None = None
    p_value: Share | None = None
    e_value: EValue | None = None
    trust: Share | None = None
    evidence: UpdateEvidence | None = None
    attribution: Attribution | None = None


class RoundVerdicts(StrictModel):
    """A page of a round's updates, in order of subject.

    Attributes:
        next_token: opaque; empty at the end.
    """

    updates: Annotated[list[JudgedUpdate], Field(max_length=MAX_JUDGED)]
    next_token: Annotated[str, StringConstraints(max_length=MAX_PAGE_TOKEN)]


class DeviceUpdates(StrictModel):
    """A device's updates to the latest rounds, newest first."""

    updates: Annotated[list[JudgedUpdate], Field(max_length=MAX_JUDGED)]


class Dropped(StrictModel):
    """Updates of a subject that came to a round with a capability that held, and did not go into its model."""

    subject: Identifier
    updates: Count


class RoundDetail(StrictModel):
    """A round, and what came of its updates.

    Attributes:
        accepted: the updates that went into its model.
        dropped: those that did not.
    """

    round: RoundStanding
    accepted: Annotated[list[Contribution], Field(max_length=MAX_MEMBERS)]
    dropped: Annotated[list[Dropped], Field(max_length=MAX_MEMBERS)]
