"""A gateway tells what a prompt or an answer shows, as `ztfm.content` decides on it."""

from typing import Literal

from controlplane.contracts.access import Network
from controlplane.contracts.base import Identifier, Label, StrictModel, Timestamp
from controlplane.contracts.content import ContentDirection, ContentFindings
from controlplane.contracts.facts.access import CurrentExceptions, InferenceAction
from controlplane.contracts.facts.subjects import Age, SubjectFact
from controlplane.contracts.holds import HoldsFact
from controlplane.contracts.identity import DeviceStatus, Roles


class ContentResource(StrictModel):
    """The model that is asked, by its name."""

    type: Literal["model"]
    id: Identifier


class ReporterFact(StrictModel):
    """The gateway whose word the findings are, as the registry knows it."""

    id: Identifier
    status: DeviceStatus
    roles: Roles
    segment: Label


class ContentCapabilityFact(StrictModel):
    """The capability that the request came with, as the gateway verified it.

    Attributes:
        id: of it.
        age_seconds: since it was issued.
    """

    id: Identifier
    age_seconds: Age


class ContentContext(StrictModel):
    """Circumstances of a content.

    Attributes:
        network: where the gateway asked from.
        reporter: the gateway.
        holds: of inferences in the subject's segment.
    """

    time: Timestamp
    network: Network
    reporter: ReporterFact
    capability: ContentCapabilityFact
    direction: ContentDirection
    findings: ContentFindings
    holds: HoldsFact
    exceptions: CurrentExceptions | None = None


class ContentFacts(StrictModel):
    """Input of ``data.ztfm.content``: what becomes of the content of an inference that is under way."""

    subject: SubjectFact
    action: InferenceAction
    resource: ContentResource
    context: ContentContext
