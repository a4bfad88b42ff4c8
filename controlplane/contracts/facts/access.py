"""The three requests that policy is for: a model is pulled, an update submitted, an inference asked for."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.access import InferenceSize, Network, OpenModel, Purpose, ResourceProperties
from controlplane.contracts.base import Count, Digest, Identifier, Label, Magnitude, StrictModel, Timestamp
from controlplane.contracts.behaviour import BehaviourFact
from controlplane.contracts.confidentiality import Confidentiality, GroupSum
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.exceptions import MAX_ALIKE, ExceptionFact
from controlplane.contracts.facts.subjects import Age, AttestationFact, ProvenFacts, SubjectFact, UsageFact
from controlplane.contracts.holds import HoldsFact
from controlplane.contracts.privacy import PrivacyFact, PrivacyTerms
from controlplane.contracts.rounds import RoundState

CurrentExceptions = Annotated[dict[Identifier, ExceptionFact], Field(max_length=MAX_ALIKE)]
"""Exceptions that were granted for this request and are current, by id."""


class ResourceFact(StrictModel):
    """The resource as it was asked for."""

    type: Label
    id: Identifier
    properties: ResourceProperties


class RoundFact(StrictModel):
    """The round that the request belongs to, seen from the subject.

    Attributes:
        member: the subject may take part.
    """

    id: Identifier
    state: RoundState
    model: Identifier
    model_digest: Digest
    opens_at: Timestamp
    closes_at: Timestamp
    member: bool


class AggregatorFact(AttestationFact):
    """How far the platform of a round's aggregator is proven, and by what.

    Attributes:
        results: of its evidence; none of an aggregator that is not active.
    """

    results: ProvenFacts


class SubmissionRoundFact(RoundFact):
    """The round that an update is submitted to.

    Attributes:
        submissions: updates that the subject already submitted to it.
        confidentiality: what its aggregator sees of its updates, as policy picked when it was opened.
        aggregator: how far the platform of whoever opened it is proven; absent where that is nobody who is known, and
            where nothing of it has to be.
        strangers: members of the subject's group that are no enrolled devices, or none any more; absent where updates
            are not summed in groups.
    """

    submissions: Count
    confidentiality: Confidentiality
    aggregator: AggregatorFact | None = None
    strangers: Count | None = None


class CapabilityFact(StrictModel):
    """The capability that came with an update.

    Attributes:
        verified: signature, time, subject, action and binding all held.
        cause: why not.
        uses: how often it was used before.
        segment: the one that it was issued for.
        max_norm: the largest norm of an update that it allows; the largest of all when it says none.
        privacy: the noise that it asks the device for; none when it asks for none.
    """

    verified: bool
    cause: Label | Literal[""]
    uses: Count
    round: Identifier | Literal[""]
    model: Identifier | Literal[""]
    age_seconds: Age
    segment: Label | Literal[""]
    max_norm: Magnitude
    privacy: PrivacyTerms | None = None


class SignedFact(StrictModel):
    """A registered version of the model, whose signature was verified and which nobody withdrew.

    Attributes:
        signer: who signed it, by its name in the folder of signers.
        registered_at: Unix seconds.
    """

    signer: Label
    registered_at: Timestamp


class IntegrityFact(StrictModel):
    """Who vouches for the weights that are asked for.

    Attributes:
        release: of which they are a file or the tensors; absent where they are of none.
        base: that the aggregator's rounds began with, up to the one that is asked about; absent where none is known.
    """

    release: SignedFact | None = None
    base: SignedFact | None = None


class AnyContext(OpenModel):
    """Circumstances common to all actions.

    Attributes:
        search: the decision that let somebody search, where this is asked of a candidate; nobody wants to act then, and
            nothing is used up. It is there for whoever reads the record.
    """

    time: Timestamp
    network: Network
    usage: UsageFact
    search: Identifier | None = None
    exceptions: CurrentExceptions | None = None


class HoldableContext(AnyContext):
    """Circumstances of an action that can be held.

    Attributes:
        holds: of the action in the subject's segment.
    """

    holds: HoldsFact


class ModelAccessContext(HoldableContext):
    """Circumstances of a model pull."""

    purpose: Purpose | None = None
    round: RoundFact | None = None
    integrity: IntegrityFact | None = None


class GradientSubmissionContext(HoldableContext):
    """Circumstances of a submission: ``grant`` asks for a capability, ``admit`` has the update and its evidence.

    Attributes:
        privacy: what it would cost; none of a model without a plan.
        group: whose sum the evidence is of; absent where it is of the update.
    """

    phase: Literal["grant", "admit"]
    group: GroupSum | None = None
    round: SubmissionRoundFact | None = None
    capability: CapabilityFact | None = None
    evidence: UpdateEvidence | None = None
    behaviour: BehaviourFact | None = None
    privacy: PrivacyFact | None = None


class InferenceContext(HoldableContext):
    """Circumstances of an inference."""

    inference: InferenceSize | None = None


class ModelAccessAction(StrictModel):
    """The action of a model pull."""

    name: Literal["model_access"]


class GradientSubmissionAction(StrictModel):
    """The action of a submission."""

    name: Literal["gradient_submission"]


class InferenceAction(StrictModel):
    """The action of an inference."""

    name: Literal["inference"]


class ModelAccessFacts(StrictModel):
    """Input of ``data.ztfm.model_access``."""

    subject: SubjectFact
    action: ModelAccessAction
    resource: ResourceFact
    context: ModelAccessContext


class GradientSubmissionFacts(StrictModel):
    """Input of ``data.ztfm.gradient_submission``."""

    subject: SubjectFact
    action: GradientSubmissionAction
    resource: ResourceFact
    context: GradientSubmissionContext


class InferenceFacts(StrictModel):
    """Input of ``data.ztfm.inference``."""

    subject: SubjectFact
    action: InferenceAction
    resource: ResourceFact
    context: InferenceContext
