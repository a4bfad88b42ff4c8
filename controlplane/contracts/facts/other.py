"""Whatever else is asked, in the words of whoever asks (AuthZEN), and the search for what would be allowed."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.access import Network
from controlplane.contracts.base import Identifier, Name, ResourceName, StrictModel, Timestamp
from controlplane.contracts.claims import Claims
from controlplane.contracts.facts.access import CurrentExceptions
from controlplane.contracts.facts.subjects import SubjectFacts, UsageFact


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
