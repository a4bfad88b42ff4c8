"""Federation rounds and the updates that are submitted to them."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from controlplane.contracts.access import AccessReason, Verification
from controlplane.contracts.base import Count, Digest, Identifier, Share, StrictModel, Timestamp, Token
from controlplane.contracts.behaviour import Attribution, BehaviourState
from controlplane.contracts.confidentiality import Confidentiality, GroupSize, GroupSum
from controlplane.contracts.decision import Aggregation
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.privacy import PrivacyTerms
from controlplane.contracts.rollback import Rollback

RoundState = Literal["open", "closed"]

Grouping = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""32 random bytes in base64url."""

MAX_MEMBERS = 10_000
MAX_UPDATES = 1_000
MAX_ROUNDS = 1_000


class RoundRequest(StrictModel):
    """An aggregator opens a round.

    Attributes:
        id: chosen by the aggregator; opening an id twice is an error.
        model: identifier of the model in ``policies/data``.
        model_digest: digest of the weights that members will pull.
        members: subjects that may take part; no duplicates.
        duration_seconds: how long the round stays open.
    """

    id: Identifier
    model: Identifier
    model_digest: Digest
    members: Annotated[
        list[Identifier], Field(min_length=1, max_length=MAX_MEMBERS, json_schema_extra={"uniqueItems": True})
    ]
    duration_seconds: Annotated[float, Field(gt=0.0, le=86_400.0)]

    @model_validator(mode="after")
    def _unique_members(self) -> Self:
        if len(set(self.members)) != len(self.members):
            raise ValueError("members must not repeat")
        return self


class Round(StrictModel):
    """A round as the control plane keeps it.

    Attributes:
        aggregation: how its updates are brought together, as policy picked when it was opened.
        privacy: clip every update and add noise to their sum by these terms, which were charged when it was opened;
            none where policy asks for none.
        confidentiality: what its aggregator sees of its updates, as policy picked when it was opened.
        group_size: members of a group, where it sees the sums of groups alone.
        grouping: from which who is in which group follows; made here when it was opened, so that nobody picks it.
    """

    id: Identifier
    model: Identifier
    model_digest: Digest
    members: Annotated[list[Identifier], Field(max_length=MAX_MEMBERS)]
    opened_by: Identifier
    opens_at: Timestamp
    closes_at: Timestamp
    state: RoundState
    aggregation: Aggregation = "mean"
    privacy: PrivacyTerms | None = None
    confidentiality: Confidentiality = "plain"
    group_size: GroupSize | None = None
    grouping: Grouping | None = None


class RoundQuery(StrictModel):
    """Which rounds are looked for; each member that is given narrows.

    Attributes:
        model: rounds of this model alone.
        state: ``open`` also means that its time is not over; ``closed`` is every other.
        since: only rounds that opened at this time and later.
        until: only rounds that opened before this time.
    """

    model: Identifier | None = None
    state: RoundState | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None


class RoundStanding(StrictModel):
    """A round in numbers.

    Attributes:
        state: ``closed`` from ``closes_at`` on, whether or not somebody closed it.
        members: how many may take part.
        accepted: updates that went into its model, as long as contributions are kept.
        dropped: updates that came with a capability that held, and did not.
    """

    id: Identifier
    model: Identifier
    model_digest: Digest
    opened_by: Identifier
    opens_at: Timestamp
    closes_at: Timestamp
    state: RoundState
    aggregation: Aggregation
    members: Count
    accepted: Count
    dropped: Count


class RoundsFound(StrictModel):
    """Rounds, newest first."""

    rounds: Annotated[list[RoundStanding], Field(max_length=MAX_ROUNDS)]


class UpdateReport(StrictModel):
    """One submitted update as the enforcement point saw it.

    Attributes:
        subject: the device that submitted.
        capability: the capability that came with it; consumed by this report.
        verification: whether capability and key proof held at the enforcement point.
        evidence: what screening measured; absent when the update was dropped before screening.
        group: whose sum the evidence is of; absent where it is of the update.
    """

    subject: Identifier
    capability: Annotated[Token | None, Field(repr=False)]
    verification: Verification
    evidence: UpdateEvidence | None = None
    group: GroupSum | None = None


class UpdateReports(StrictModel):
    """A round's updates, one or many. Verdicts come back in this order."""

    updates: Annotated[list[UpdateReport], Field(min_length=1, max_length=MAX_UPDATES)]


class UpdateVerdict(StrictModel):
    """What becomes of one update.

    Attributes:
        decision: whether it may enter the aggregate.
        decision_id: under which the decision is recorded.
        clip_norm_ratio: scale it down to this multiple of the cohort's median norm; none for no bound.
        trust: the subject's trust after this update; none for a subject nobody knows.
        quarantined: the subject is quarantined from now on.
        features: what made the update stand out, largest first.
        state: where the subject stands from now on; none for one that nobody knows.
        p_value: share of comparable peers' updates that deviate as much, or of the calibration's where that is less;
            none where there were too few.
        attribution: why the update stands out, and the likely attack; none for an unremarkable one.
    """

    subject: Identifier
    decision: bool
    decision_id: Identifier
    reasons: list[AccessReason]
    clip_norm_ratio: Annotated[float, Field(gt=0.0, le=1e6)] | None = None
    trust: Share | None = None
    quarantined: bool = False
    features: Annotated[list[str], Field(max_length=16)] = Field(default_factory=list)
    state: BehaviourState | None = None
    p_value: Share | None = None
    attribution: Attribution | None = None


class UpdateVerdicts(StrictModel):
    """The verdicts on a report, in its order.

    Attributes:
        rollbacks: what is ordered for the round's model and not done yet, oldest first.
    """

    round_id: Identifier
    verdicts: list[UpdateVerdict]
    rollbacks: Annotated[list[Rollback], Field(max_length=64)] = Field(default_factory=list)
