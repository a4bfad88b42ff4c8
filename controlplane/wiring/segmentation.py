"""Segmentation: where devices are on the network, and the ways that capabilities open for them."""

import time

from controlplane.api.services.segmentation import SegmentationParts
from controlplane.decisions import Decider
from controlplane.decisions.attachments import CurrentAttachments
from controlplane.decisions.reachable import ServicePolicy
from controlplane.decisions.segment_tables import SegmentTables
from controlplane.decisions.segmenting import Segmenting
from controlplane.wiring.common import Common


def wire_segmentation(common: Common, decider: Decider) -> SegmentationParts:
    """Return what opens ways, as the decider allows."""
    attachments, metrics, clock = common.store.segments, common.metrics.segments, common.clock
    attached = CurrentAttachments(attachments, metrics, time.monotonic)
    reachable = ServicePolicy(common.engine, timer=time.monotonic)
    return SegmentationParts(
        attachments=attachments,
        attached=attached,
        reachable=reachable,
        segmenting=Segmenting(attached, reachable, decider, attachments, metrics, clock),
        tables=SegmentTables(attachments, reachable, metrics, clock, time.monotonic),
    )
