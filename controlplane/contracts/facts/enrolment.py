"""A newcomer asks to be known."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.access import Network
from controlplane.contracts.base import Count, Identifier, Label, StrictModel, Timestamp
from controlplane.contracts.identity import Roles


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
