"""What is done about a device whose registered identity is not what its ledger says."""

from typing import Annotated, Literal

from pydantic import Field

from controlplane.contracts.base import Identifier, Label, StrictModel, Timestamp
from controlplane.contracts.identity import DeviceStatus, Roles


class LedgerSource(StrictModel):
    """Which ledger was compared with, by its kind."""

    type: Literal["ledger"]
    id: Label


class IdentityAction(StrictModel):
    """The action of a finding that asks for a response."""

    name: Literal["identity"]


class ComparedResource(StrictModel):
    """Whom the finding is about."""

    type: Literal["device", "ledger"]
    id: Identifier


class FindingFact(StrictModel):
    """What was found.

    Attributes:
        kind: of the difference, as docs/identity.md lists them.
        together: findings of the same pass, those about registered devices and those about the ledger apart.
    """

    kind: Label
    together: Annotated[int, Field(ge=1, le=1_000_000)]


class ComparedDevice(StrictModel):
    """The device as the registry has it."""

    status: DeviceStatus
    roles: Roles
    segment: Label


class IdentityContext(StrictModel):
    """Circumstances of a finding.

    Attributes:
        device: whom it is about; none where the registry has no such device.
    """

    time: Timestamp
    finding: FindingFact
    device: ComparedDevice | None = None


class IdentityFacts(StrictModel):
    """Input of ``data.ztfm.identity``: what is to be done about a difference between registry and ledger."""

    subject: LedgerSource
    action: IdentityAction
    resource: ComparedResource
    context: IdentityContext
