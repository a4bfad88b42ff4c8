"""Who may reach whom on the network."""

from dataclasses import dataclass

from controlplane.decisions.attachments import CurrentAttachments
from controlplane.decisions.reachable import ServicePolicy
from controlplane.decisions.segment_tables import SegmentTables
from controlplane.decisions.segmenting import Segmenting
from controlplane.storage.segments import Segments


@dataclass(frozen=True)
class SegmentationParts:
    """What opens ways on the network.

    Attributes:
        attachments: where devices are, as it is kept.
        attached: the same, as capabilities see it.
        reachable: services, as policy names them.
        segmenting: opens ways for capabilities.
        tables: of grants, that routers enforce.
    """

    attachments: Segments
    attached: CurrentAttachments
    reachable: ServicePolicy
    segmenting: Segmenting
    tables: SegmentTables
