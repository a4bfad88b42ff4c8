"""The facts that OPA decides on: the one input document, per action. Rego's input schemas are generated from here.

A caller's word enters under the names of `contracts.access`; every other fact is owned by the control
plane and gathered fresh for each decision (NIST SP 800-207, tenet 4: access is determined by dynamic policy).
"""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.access import (
    InferenceSize,
    Network,
    OpenModel,
    Purpose,
    ResourceProperties,
)
from controlplane.contracts.base import Count, Digest, Identifier, Label, StrictModel, Thumbprint, Timestamp
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.identity import AttestationLevel, DeviceStatus, Roles, Trust
from controlplane.contracts.rounds import RoundState

Age = Annotated[float, Field(ge=0.0, le=1e10)]
"""Seconds since something happened."""


class AttestationFact(StrictModel):
    """How far the subject's platform is proven, and how long ago; no age without a level."""

    level: AttestationLevel
    age_seconds: Age | None = None


class SubjectFacts(OpenModel):
    """What is known of the subject."""

    status: DeviceStatus
    roles: Roles
    segment: Label
    key_thumbprint: Thumbprint
    attestation: AttestationFact
    trust: Trust


class SubjectFact(StrictModel):
    """The party that asks; without properties when nobody registered it, so that all that is required is missing."""

    type: Label
    id: Identifier
    properties: SubjectFacts | None = None


class ResourceFact(StrictModel):
    """The resource as it was asked for."""

    type: Label
    id: Identifier
    properties: ResourceProperties


class UsageFact(StrictModel):
    """What the subject used in the current window.

    Attributes:
        window_seconds: length of the window.
        requests: decisions asked for in it, this one not counted.
        tokens: inference tokens granted in it.
    """

    window_seconds: Annotated[float, Field(gt=0.0, le=86_400.0)]
    requests: Count
    tokens: Count


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


class SubmissionRoundFact(RoundFact):
    """The round that an update is submitted to.

    Attributes:
        submissions: updates that the subject already submitted to it.
    """

    submissions: Count


class CapabilityFact(StrictModel):
    """The capability that came with an update.

    Attributes:
        verified: signature, time, subject, action and binding all held.
        cause: why not.
        uses: how often it was used before.
    """

    verified: bool
    cause: Label | Literal[""]
    uses: Count
    round: Identifier | Literal[""]
    model: Identifier | Literal[""]
    age_seconds: Age


class AnyContext(OpenModel):
    """Circumstances common to all actions."""

    time: Timestamp
    network: Network
    usage: UsageFact


class ModelAccessContext(AnyContext):
    """Circumstances of a model pull."""

    purpose: Purpose | None = None
    round: RoundFact | None = None


class GradientSubmissionContext(AnyContext):
    """Circumstances of a submission: ``grant`` asks for a capability, ``admit`` has the update and its evidence."""

    phase: Literal["grant", "admit"]
    round: SubmissionRoundFact | None = None
    capability: CapabilityFact | None = None
    evidence: UpdateEvidence | None = None


class InferenceContext(AnyContext):
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


AdminActionName = Literal[
    "access:search",
    "capability:introspect",
    "capability:revoke",
    "certificate:issue",
    "decision:read",
    "device:read",
    "device:set_status",
    "evaluation:ask",
    "events:read",
    "key:read",
    "key:rotate",
    "key:withdraw",
    "metrics:read",
    "round:create",
    "status_list:read",
    "token:issue",
    "updates:report",
]
"""What the control plane itself may be asked to do; who may, `policies/ztfm/admin` says."""

AdministeredKind = Literal[
    "capability",
    "certificate",
    "decision",
    "device",
    "enrolment_token",
    "evaluation",
    "events",
    "key",
    "metrics",
    "round",
    "search",
    "status_list",
]


class AdminAction(StrictModel):
    """What is asked of the control plane itself."""

    name: AdminActionName


class AdministeredProperties(StrictModel):
    """Whose thing it is.

    Attributes:
        owner: the subject that a decision is about, that a capability or certificate is for, that a device is, or that
            opened a round.
    """

    owner: Identifier | None = None


class AdministeredResource(StrictModel):
    """What of the control plane is touched."""

    type: AdministeredKind
    id: Identifier
    properties: AdministeredProperties


class AdminFacts(StrictModel):
    """Input of ``data.ztfm.admin``: the control plane's own API is decided as everything else is."""

    subject: SubjectFact
    action: AdminAction
    resource: AdministeredResource
    context: AnyContext


class Applicant(StrictModel):
    """What a newcomer asks to be."""

    roles: Roles
    segment: Label


class ApplicantSubject(StrictModel):
    """A newcomer, named after its key."""

    type: Literal["device"]
    id: Identifier
    properties: Applicant


class EnrolAction(StrictModel):
    """The action of an enrolment."""

    name: Literal["enrol"]


class FederationResource(StrictModel):
    """What is joined."""

    type: Literal["federation"]
    id: Identifier


class TokenFact(StrictModel):
    """What the presented enrolment token allows; not valid when nobody issued it."""

    valid: bool
    uses: Count
    expires_at: Timestamp
    roles: Annotated[list[Label], Field(max_length=8)]
    segment: Label | Literal[""]


class ProofFact(StrictModel):
    """Whether the newcomer proved that it holds its key."""

    verified: bool


class EnrolmentContext(StrictModel):
    """Circumstances of an enrolment."""

    time: Timestamp
    network: Network
    token: TokenFact
    proof: ProofFact


class EnrolmentFacts(StrictModel):
    """Input of ``data.ztfm.enrolment``."""

    subject: ApplicantSubject
    action: EnrolAction
    resource: FederationResource
    context: EnrolmentContext


FACTS: dict[str, type[StrictModel]] = {
    "model_access": ModelAccessFacts,
    "gradient_submission": GradientSubmissionFacts,
    "inference": InferenceFacts,
    "admin": AdminFacts,
    "enrolment": EnrolmentFacts,
}
"""Facts by Rego package (``data.ztfm.<name>``)."""
