"""What Rego answers, and what the control plane makes of it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.access import AccessReason
from controlplane.contracts.attestation import MAX_SHARDS, AttestedObligation, EvidenceType, SealTerms
from controlplane.contracts.base import Count, Identifier, Label, Name, ResourceName, StrictModel, Timestamp
from controlplane.contracts.behaviour import BehaviourState
from controlplane.contracts.budgets import LeaseTerms
from controlplane.contracts.confidentiality import Confidentiality, GroupSize
from controlplane.contracts.content import Decimals, Redacted, RequestsPerMinute, StepUpSeconds, Suppressed
from controlplane.contracts.holds import HoldObligation
from controlplane.contracts.privacy import PrivacyTerms

Outcome = Literal["allow", "deny", "error"]
"""``error`` denies as ``deny`` does; it says that policy could not be asked."""

Aggregation = Literal["mean", "trimmed_mean", "geometric_median", "nnm"]
"""How a round's updates become one: the weighted mean, the mean without the extremes of each coordinate, the
geometric median, or the mean over each update's nearest neighbours (nearest-neighbour mixing)."""

MAX_REASONS = 64

MAX_PAGE_TOKEN = 2048


class Obligations(StrictModel):
    """What must be done with a decision. A word that is not known here makes the decision an error.

    Attributes:
        clip_norm_ratio: scale an accepted update down to this multiple of the cohort's median norm.
        watch: the subject is watched; for people, enforcement needs nothing more.
        max_output_tokens: upper bound on an inference's output.
        detail: how much of an inference's answer may be shown.
        max_bytes: upper bound on what is pulled or submitted, bytes.
        max_norm: upper bound on the L2 norm of an update.
        epsilon: upper bound on what an update spends of a privacy budget.
        may_assert: property paths that this caller's word is taken for.
        waived: requirements that an exception waived.
        exceptions: those that were needed for it: ids of granted ones, names of those in the bundle.
        state: where a subject stands from now on; ``quarantined`` sets it apart.
        rollback_rounds: undo what the subject contributed to the latest rounds, so many at most.
        aggregation: how the updates of a round are brought together.
        hold: deny actions in a segment, or everywhere, for a time.
        release: end what the alert had held.
        lifetime_seconds: upper bound on the life of what is issued.
        idle_seconds: so long without use end the session that somebody begins.
        status: that a device has from now on, since its identity is not what the ledger says.
        privacy: clip and noise, by the device or by the aggregator; what that costs is charged before anything is given
            out.
        attested: what a device's platform has proven from now on.
        withdraw_attestation: what a device's platform had proven counts no more: its evidence contradicts it.
        shards: the parts of a model's weights that may be pulled; none where it is not given out by shards.
        release_to: the kind of evidence to whose release key a secret is sealed.
        seal: an update is sealed to its aggregator's release key, whose evidence is as these terms ask.
        confidentiality: what the aggregator may see of the updates of a round, or how one is submitted.
        group_size: members of a group, where it sees the sums of groups alone.
        lease: how much of which budgets a gateway may hold.
        service: that a capability opens a way to on the network.
        redact: which places of a content are blacked out.
        decimals: to which the probabilities of an answer are rounded.
        suppress: what is taken out of an answer.
        watermark: tag that an answer bears.
        requests_per_minute: the subject may ask no more often.
        step_up_seconds: of a denial alone: how lately a capability must have been issued for this to be asked again.
    """

    clip_norm_ratio: Annotated[float, Field(gt=0.0, le=1e6)] | None = None
    watch: bool = False
    max_output_tokens: Count | None = None
    detail: Literal["full", "label_only"] | None = None
    max_bytes: Annotated[int, Field(gt=0, le=2**53)] | None = None
    max_norm: Annotated[float, Field(gt=0.0, le=1e12)] | None = None
    epsilon: Annotated[float, Field(gt=0.0, le=1e6)] | None = None
    may_assert: Annotated[list[str], Field(max_length=32)] = Field(default_factory=list)
    waived: Annotated[list[Label], Field(max_length=16)] = Field(default_factory=list)
    exceptions: Annotated[list[Identifier], Field(max_length=16)] = Field(default_factory=list)
    state: BehaviourState | None = None
    rollback_rounds: Annotated[int, Field(ge=1, le=1000)] | None = None
    aggregation: Aggregation | None = None
    hold: HoldObligation | None = None
    release: bool | None = None
    lifetime_seconds: Annotated[float, Field(gt=0.0, le=86_400.0)] | None = None
    idle_seconds: Annotated[float, Field(gt=0.0, le=86_400.0)] | None = None
    status: Literal["quarantined", "revoked"] | None = None
    privacy: PrivacyTerms | None = None
    attested: AttestedObligation | None = None
    withdraw_attestation: bool | None = None
    shards: Annotated[list[Label], Field(max_length=MAX_SHARDS)] | None = None
    release_to: EvidenceType | None = None
    seal: SealTerms | None = None
    confidentiality: Confidentiality | None = None
    group_size: GroupSize | None = None
    lease: LeaseTerms | None = None
    service: Label | None = None
    redact: Redacted | None = None
    decimals: Decimals | None = None
    suppress: Suppressed | None = None
    watermark: Label | None = None
    requests_per_minute: RequestsPerMinute | None = None
    step_up_seconds: StepUpSeconds | None = None


class PolicyDecision(StrictModel):
    """The decision document of a Rego package. Anything that does not fit it is an error, hence a deny.

    Attributes:
        allow: the decision.
        reasons: what was missing; empty only when allowed.
        rules: the requirements that were asked.
        ttl_seconds: how long it may be relied on; 0 when denied.
    """

    allow: bool
    reasons: Annotated[list[AccessReason], Field(max_length=MAX_REASONS)]
    obligations: Obligations
    rules: Annotated[list[Label], Field(max_length=MAX_REASONS)]
    ttl_seconds: Annotated[float, Field(ge=0.0, le=300.0)]


class Decision(StrictModel):
    """A decision with its identity: what callers see, audit keeps and metrics count.

    Attributes:
        outcome: allow, deny or error.
        policy_revision: of the policy that decided; empty when none could be asked.
        policy_age_seconds: since that policy was published; none when the process that decided did not know.
    """

    id: Identifier
    time: Timestamp
    action: Name
    subject: Name
    resource: ResourceName
    outcome: Outcome
    reasons: list[AccessReason]
    obligations: Obligations
    rules: list[Label]
    ttl_seconds: float
    policy_revision: str
    policy_age_seconds: Annotated[float, Field(ge=0.0)] | None = None

    @property
    def allowed(self) -> bool:
        """Whether the request may go on."""
        return self.outcome == "allow"


class DecisionRecord(Decision):
    """A decision as audit keeps it, with the facts that were decided on.

    Attributes:
        seconds: from the gathered facts to the engine's answer; none in records of before it was measured.
        masked: JSON pointers (RFC 6901) to the values in ``facts`` that policy keeps out; a marker stands there.
        facts: the input that OPA saw, less what is masked.
    """

    seconds: Annotated[float, Field(ge=0.0)] | None = None
    masked: list[str] = Field(default_factory=list)
    facts: dict[str, object]


class ContentAnswer(StrictModel):
    """What becomes of a prompt or an answer.

    Attributes:
        decision: it may pass, once the obligations are carried out.
        decision_id: under which it is recorded.
        reasons: what was missing; empty where it may pass.
        obligations: what must be done with it; of a denial, ``step_up_seconds`` alone.
    """

    decision: bool
    decision_id: Identifier
    policy_revision: str
    ttl_seconds: Annotated[float, Field(ge=0.0, le=300.0)]
    reasons: Annotated[list[AccessReason], Field(max_length=MAX_REASONS)]
    obligations: Obligations


class DecisionQuery(StrictModel):
    """Which recorded decisions are looked for; each member that is given narrows.

    Attributes:
        action: ``model_access``, an admin action such as ``key:rotate``, an action of one's own; ``admin`` and
            ``other`` are all of theirs.
        reason: the code of a requirement that was missing.
        since: only decisions of this time and later.
        until: only decisions before this time.
        revision: of the policy that decided.
    """

    action: Name | None = None
    outcome: Outcome | None = None
    subject: Name | None = None
    resource: ResourceName | None = None
    reason: Label | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None
    revision: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None


class DecisionsFound(StrictModel):
    """A page of recorded decisions, newest first; the facts behind each are at ``/v1/decisions/{id}``.

    Attributes:
        next_token: opaque; empty at the end. A page may hold fewer decisions than asked for, or none, and still go on.
    """

    decisions: list[Decision]
    next_token: Annotated[str, StringConstraints(max_length=MAX_PAGE_TOKEN)]


class AccessResponse(StrictModel):
    """The answer to one AuthZEN evaluation."""

    decision: bool
    context: dict[str, object]


class AccessResponses(StrictModel):
    """The answers to an AuthZEN batch, in its order."""

    evaluations: list[AccessResponse]


class EvaluationsAnswer(StrictModel):
    """What answers an AuthZEN batch: its evaluations, or the one decision where it held none.

    Attributes:
        decision: only without ``evaluations``, as is ``context``.
    """

    evaluations: list[AccessResponse] | None = None
    decision: bool | None = None
    context: dict[str, object] | None = None
