"""What is counted of micro-segmentation. Devices and addresses are in no label."""

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controlplane.contracts.attachments import Opened

CHANGES = ("recorded", "removed")
OUTCOMES: tuple[str, ...] = get_args(Opened)


class SegmentMetrics:
    """Counts ways that were opened, and shows what the table holds.

    Args:
        registry: of all metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ways = Counter(
            "ztfm_segment_ways_total",
            "Ways on the network that capabilities asked for, by what became of them",
            ["outcome"],
            registry=registry,
        )
        self.changes = Counter(
            "ztfm_segment_attachment_changes_total",
            "Devices whose place on the network was recorded or removed",
            ["change"],
            registry=registry,
        )
        self.attachments = Gauge(
            "ztfm_segment_attachments", "Devices whose place on the network is known", registry=registry
        )
        self.grants = Gauge("ztfm_segment_grants", "Grants in the table that was made last", registry=registry)
        self.cuts = Gauge("ztfm_segment_cuts", "Devices that the table made last cuts off", registry=registry)
        self.making = Histogram(
            "ztfm_segment_table_seconds",
            "Time to make the table of grants",
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
        )
        for outcome in OUTCOMES:
            self.ways.labels(outcome)
        for change in CHANGES:
            self.changes.labels(change)

    def opened(self, outcome: Opened) -> None:
        """A capability for a service was given out to a device whose place is known; this became of its way."""
        self.ways.labels(outcome).inc()

    def attached(self, attachments: int) -> None:
        """So many devices' places are known."""
        self.attachments.set(attachments)

    def table(self, grants: int, cuts: int, seconds: float) -> None:
        """The table was made, within some seconds."""
        self.grants.set(grants)
        self.cuts.set(cuts)
        self.making.observe(seconds)
