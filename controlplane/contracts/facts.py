"""The facts that OPA decides on: the one input document, per action. Rego's input schemas are generated from here.

A caller's word enters under the names of `contracts.access`; every other fact is owned by the control
plane and gathered fresh for each decision (NIST SP 800-207, tenet 4: access is determined by dynamic policy).
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.access import (
    InferenceSize,
    Network,
    OpenModel,
    Purpose,
    ResourceProperties,
)
from controlplane.contracts.alerts import AlertFact
from controlplane.contracts.base import (
    Count,
    Digest,
    Identifier,
    Label,
    Magnitude,
    Name,
    ResourceName,
    StrictModel,
    Thumbprint,
    Timestamp,
)
from controlplane.contracts.behaviour import (
    Attack,
    BehaviourFact,
    BehaviourQuery,
    BehaviourState,
    Channel,
    EValue,
)
from controlplane.contracts.claims import Claims
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.exceptions import MAX_ALIKE, ExceptionFact
from controlplane.contracts.holds import HoldsFact
from controlplane.contracts.identity import AttestationLevel, DeviceStatus, Roles, Trust
from controlplane.contracts.log import LogQuery
from controlplane.contracts.policies import PolicyLayer
from controlplane.contracts.rounds import RoundState
from controlplane.contracts.site import SITE_FACTS

Age = Annotated[float, Field(ge=0.0, le=1e10)]
"""Seconds since something happened."""

CurrentExceptions = Annotated[dict[Identifier, ExceptionFact], Field(max_length=MAX_ALIKE)]
"""Exceptions that were granted for this request and are current, by id."""


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
        segment: the one that it was issued for.
        max_norm: the largest norm of an update that it allows; the largest of all when it says none.
    """

    verified: bool
    cause: Label | Literal[""]
    uses: Count
    round: Identifier | Literal[""]
    model: Identifier | Literal[""]
    age_seconds: Age
    segment: Label | Literal[""]
    max_norm: Magnitude


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


class GradientSubmissionContext(HoldableContext):
    """Circumstances of a submission: ``grant`` asks for a capability, ``admit`` has the update and its evidence."""

    phase: Literal["grant", "admit"]
    round: SubmissionRoundFact | None = None
    capability: CapabilityFact | None = None
    evidence: UpdateEvidence | None = None
    behaviour: BehaviourFact | None = None


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


class OtherSubject(StrictModel):
    """The party that asks; with properties when it is an enrolled device, and only with those that are known of it."""

    type: Name
    id: Name
    properties: SubjectFacts | None = None


class OtherAction(StrictModel):
    """An action that is none of the product's."""

    name: Name


class OtherResource(StrictModel):
    """What it is asked of; its type names the package that decides."""

    type: Name
    id: ResourceName


class OtherContext(StrictModel):
    """The circumstances, as the control plane sees them.

    Attributes:
        network: where the enforcement point asked from.
        search: as in `AnyContext`.
    """

    time: Timestamp
    network: Network
    usage: UsageFact
    search: Identifier | None = None
    exceptions: CurrentExceptions | None = None


class ClaimedFacts(StrictModel):
    """What the caller says; each part is empty unless policy takes this caller's word for it.

    Attributes:
        subject: of the subject's properties; action and resource likewise.
        context: of the circumstances.
    """

    subject: Claims
    action: Claims
    resource: Claims
    context: Claims


class OtherFacts(StrictModel):
    """Input of ``data.ztfm.other``: an action that the product does not know, decided by whoever's resource it is."""

    subject: OtherSubject
    action: OtherAction
    resource: OtherResource
    context: OtherContext
    claims: ClaimedFacts


class CandidatesQuery(StrictModel):
    """Input of ``data.ztfm.candidates``: which names could be the answer to a search.

    Attributes:
        kind: what is looked for.
        subject_type: type of the subjects that are looked for, or of the one that asks.
        resource_type: type of the resources that are looked for, or of the one that is asked for.
        after: only names that come after this one, in order of code points.
        limit: names at most.
    """

    kind: Literal["subject", "resource", "action"]
    subject_type: Name
    resource_type: Name
    after: Annotated[str, StringConstraints(max_length=512)]
    limit: Annotated[int, Field(ge=1, le=256)]


AdminActionName = Literal[
    "access:search",
    "behaviour:read",
    "behaviour:report",
    "capability:introspect",
    "capability:revoke",
    "certificate:issue",
    "decision:list",
    "decision:read",
    "device:read",
    "device:set_status",
    "evaluation:ask",
    "events:read",
    "exception:grant",
    "exception:list",
    "exception:revoke",
    "hold:list",
    "hold:release",
    "key:read",
    "key:rotate",
    "key:withdraw",
    "metrics:read",
    "policy:publish",
    "policy:read",
    "policy:rollback",
    "policy:shadow",
    "round:create",
    "round:rollback",
    "site:report",
    "status_list:read",
    "token:issue",
    "updates:report",
]
"""What the control plane itself may be asked to do; who may, `policies/ztfm/admin` says."""

AdministeredKind = Literal[
    "behaviour",
    "capability",
    "certificate",
    "decision",
    "decision_log",
    "device",
    "enrolment_token",
    "evaluation",
    "events",
    "exception",
    "hold",
    "key",
    "metrics",
    "policy",
    "round",
    "search",
    "site",
    "status_list",
]


class AdminAction(StrictModel):
    """What is asked of the control plane itself."""

    name: AdminActionName


class AdministeredProperties(StrictModel):
    """Whose thing it is, and what is to become of it.

    Attributes:
        owner: the subject that a decision is about, or every decision that is asked for; that a capability or
            certificate is for, that a device is, or that opened a round.
        status: what a device's status is to become.
        layer: of the policies that are to become others.
        lasts_seconds: for how long an exception is to count.
        model: that a round is about.
    """

    owner: Identifier | None = None
    status: DeviceStatus | None = None
    layer: PolicyLayer | None = None
    lasts_seconds: Annotated[float, Field(gt=0.0, le=1e12)] | None = None
    model: Identifier | None = None


class AdministeredResource(StrictModel):
    """What of the control plane is touched."""

    type: AdministeredKind
    id: Identifier
    properties: AdministeredProperties


ClaimName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.:/-]{0,127}$")]

ClaimValues = Annotated[list[Annotated[str, StringConstraints(max_length=256)]], Field(max_length=256)]


class PersonFacts(StrictModel):
    """What an identity provider says of a person; what that is worth, policy says.

    Attributes:
        issuer: the provider.
        claims: texts by the claim that held them, ``sub`` among them.
    """

    issuer: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    claims: Annotated[dict[ClaimName, ClaimValues], Field(max_length=16)]


class PersonFact(StrictModel):
    """A person, known by a token of their identity provider; it holds no key and gets no capability."""

    type: Literal["person"]
    id: Identifier
    properties: PersonFacts


class AdminFacts(StrictModel):
    """Input of ``data.ztfm.admin``: the control plane's own API is decided as everything else is."""

    subject: SubjectFact | PersonFact
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


class RespondAction(StrictModel):
    """The action of a response to behaviour."""

    name: Literal["respond"]


class BehaviourResource(StrictModel):
    """Whose behaviour is responded to, by its subject's id."""

    type: Literal["behaviour"]
    id: Identifier


class ResponseFact(BehaviourFact):
    """What the response policy reads of a subject's behaviour.

    Attributes:
        channel: where it showed; none where time alone has passed.
        e_values: the evidence by channel.
        attack: the likely one; none for an unremarkable observation.
        confidence: in it.
        contributed: rounds, of those whose updates are still kept, into whose model updates of the subject went.
        conforming: by channel in which it was ever judged, observations that were as peers' are, since it stands where
            it does.
        convicted: by channel, the most evidence with which it was set apart, until its probation has ended.
    """

    channel: Channel | None = None
    e_values: Annotated[dict[Channel, EValue], Field(max_length=8)]
    attack: Attack | None = None
    confidence: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    contributed: Count = 0
    conforming: Annotated[dict[Channel, Count], Field(max_length=8)]
    convicted: Annotated[dict[Channel, EValue], Field(max_length=8)]


class ResponseContext(StrictModel):
    """Circumstances of a response."""

    time: Timestamp
    behaviour: ResponseFact


class ResponseFacts(StrictModel):
    """Input of ``data.ztfm.response``: what is to become of a subject whose behaviour was judged."""

    subject: SubjectFact
    action: RespondAction
    resource: BehaviourResource
    context: ResponseContext


class AlertSource(StrictModel):
    """Who tells of an alert: a receiver of Alertmanager, by its name."""

    type: Literal["alertmanager"]
    id: Name


class AlertAction(StrictModel):
    """The action of an alert that asks for a response."""

    name: Literal["alert"]


class AlertResource(StrictModel):
    """The alert, by its name."""

    type: Literal["alert"]
    id: Name


class AlertContext(StrictModel):
    """Circumstances of an alert.

    Attributes:
        policy_revision: that decided when the alert came; empty when none was known.
        subjects: how many stand where; a state without any is absent.
        holds: all that is held.
    """

    time: Timestamp
    alert: AlertFact
    policy_revision: Annotated[str, StringConstraints(max_length=256)]
    subjects: Annotated[dict[BehaviourState, Count], Field(max_length=8)]
    holds: HoldsFact


class AlertFacts(StrictModel):
    """Input of ``data.ztfm.alert``: what is to be done because of an alert."""

    subject: AlertSource
    action: AlertAction
    resource: AlertResource
    context: AlertContext


FACTS: dict[str, type[StrictModel]] = {
    "model_access": ModelAccessFacts,
    "gradient_submission": GradientSubmissionFacts,
    "inference": InferenceFacts,
    "other": OtherFacts,
    "admin": AdminFacts,
    "enrolment": EnrolmentFacts,
    "response": ResponseFacts,
    "alert": AlertFacts,
}
"""Facts by Rego package (``data.ztfm.<name>``)."""

INPUTS: dict[str, type[StrictModel]] = {
    **FACTS,
    "behaviour": BehaviourQuery,
    "candidates": CandidatesQuery,
    "log": LogQuery,
    **SITE_FACTS,
}
"""Facts, and what else is asked of the policy bundle."""
