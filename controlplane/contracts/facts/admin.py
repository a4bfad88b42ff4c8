"""What administrators, auditors, services and people ask of the control plane itself."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.base import Count, Identifier, Label, Name, StrictModel
from controlplane.contracts.exceptions import MAX_WAIVED
from controlplane.contracts.facts.access import AnyContext
from controlplane.contracts.facts.subjects import ProvenFacts, SubjectFact
from controlplane.contracts.identity import DeviceStatus, Roles
from controlplane.contracts.models import SignatureState
from controlplane.contracts.policies import PolicyLayer
from controlplane.contracts.privacy import PrivacyFact
from controlplane.contracts.svids import MAX_AUDIENCES, Audience

AdminActionName = Literal[
    "access:search",
    "attachment:list",
    "attachment:record",
    "attachment:remove",
    "attestation:challenge",
    "attestation:read",
    "behaviour:read",
    "behaviour:report",
    "budget:lease",
    "budget:read",
    "capability:introspect",
    "capability:revoke",
    "certificate:issue",
    "changes:read",
    "console:sign_in",
    "decision:list",
    "decision:read",
    "device:list",
    "device:read",
    "device:rotate_key",
    "device:set_status",
    "evaluation:ask",
    "events:read",
    "exception:grant",
    "exception:list",
    "exception:revoke",
    "hold:list",
    "hold:release",
    "identity:resolve",
    "key:read",
    "key:rotate",
    "key:withdraw",
    "metrics:read",
    "model:read",
    "model:register",
    "model:withdraw",
    "policy:publish",
    "policy:read",
    "policy:rollback",
    "policy:shadow",
    "policy:try",
    "privacy:read",
    "round:create",
    "round:rollback",
    "secret:list",
    "secret:register",
    "secret:withdraw",
    "segments:reach",
    "segments:table",
    "site:report",
    "status_list:read",
    "svid:issue",
    "token:issue",
    "updates:report",
]
"""What the control plane itself may be asked to do; who may, `policies/ztfm/admin` says."""


AdministeredKind = Literal[
    "attachment",
    "attestation",
    "behaviour",
    "budget",
    "capability",
    "certificate",
    "changes",
    "console",
    "decision",
    "decision_log",
    "device",
    "enrolment_token",
    "evaluation",
    "events",
    "exception",
    "hold",
    "identifier",
    "key",
    "metrics",
    "model_version",
    "policy",
    "privacy",
    "round",
    "search",
    "secret",
    "segments",
    "site",
    "status_list",
    "svid",
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
        reason: why, as the caller says.
        layer: of the policies that are to become others.
        lasts_seconds: for how long an exception is to count.
        waives: requirements that it is to waive.
        model: that a round is about.
        members: that may take part in it, how many.
        audiences: whom a token that says who its bearer is would be for.
        signature: what became of the signature under a version of ``model``.
        signer: who signed it; absent where nobody did whose signature counts.
        name: what its signer called it.
        roles: that tokens would let newcomers enrol as.
        segment: where they would.
    """

    owner: Identifier | None = None
    status: DeviceStatus | None = None
    reason: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    layer: PolicyLayer | None = None
    lasts_seconds: Annotated[float, Field(gt=0.0, le=1e12)] | None = None
    waives: Annotated[list[Label], Field(min_length=1, max_length=MAX_WAIVED)] | None = None
    model: Identifier | None = None
    members: Count | None = None
    audiences: Annotated[list[Audience], Field(min_length=1, max_length=MAX_AUDIENCES)] | None = None
    signature: SignatureState | None = None
    signer: Label | None = None
    name: Name | None = None
    roles: Roles | None = None
    segment: Label | None = None


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


class AdminContext(AnyContext):
    """Circumstances of what is asked of the control plane itself.

    Attributes:
        privacy: what the noise of a round that is opened would cost; none of a model without a plan.
        results: of the evidence of whoever opens a round; absent of anything else.
    """

    privacy: PrivacyFact | None = None
    results: ProvenFacts | None = None


class AdminFacts(StrictModel):
    """Input of ``data.ztfm.admin``: the control plane's own API is decided as everything else is."""

    subject: SubjectFact | PersonFact
    action: AdminAction
    resource: AdministeredResource
    context: AdminContext
