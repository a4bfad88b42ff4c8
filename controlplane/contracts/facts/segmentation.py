"""A device with a capability is to reach a service on the network, as `ztfm.segmentation` decides it."""

from typing import Literal

from controlplane.contracts.access import ActionName
from controlplane.contracts.base import Identifier, Label, StrictModel, Timestamp
from controlplane.contracts.facts.subjects import SubjectFact
from controlplane.contracts.segmentation import Address


class SegmentationAction(StrictModel):
    """The action of a device whose capability is to open a way on the network."""

    name: Literal["segmentation"]


class ServiceResource(StrictModel):
    """What is to be reached: whatever serves an audience."""

    type: Literal["service"]
    id: Identifier


class AttachmentFact(StrictModel):
    """Where the device is on the network, as whoever runs the network said.

    Attributes:
        address: from which its packets come.
        site: where it stands.
        line: of the site; absent where it has none.
        device_class: what it is.
        tunnelled: it has a WireGuard tunnel.
    """

    address: Address
    site: Label
    line: Label | None = None
    device_class: Label
    tunnelled: bool


class SegmentationContext(StrictModel):
    """Circumstances of a way on the network.

    Attributes:
        action: that the capability allows.
        model: that it is for.
        attachment: where the device is.
    """

    time: Timestamp
    action: ActionName
    model: Identifier
    attachment: AttachmentFact


class SegmentationFacts(StrictModel):
    """Input of ``data.ztfm.segmentation``: whether a capability opens a way on the network."""

    subject: SubjectFact
    action: SegmentationAction
    resource: ServiceResource
    context: SegmentationContext
