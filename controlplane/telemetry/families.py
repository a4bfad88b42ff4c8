"""Makes families of metrics on one registry."""

from functools import lru_cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Labelled = TypeVar("Labelled", Counter, Histogram)


class Families:
    """Makes counters, gauges and histograms. Names have base units; of a latency, seconds.

    Args:
        registry: that exposes them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Return a new counter with these labels."""
        return _remembering(Counter(name, text, labels, registry=self.registry))

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Return a new gauge with these labels."""
        return Gauge(name, text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        """Return a new histogram with these labels."""
        return _remembering(Histogram(name, text, labels, registry=self.registry, buckets=buckets))


def _remembering(metric: Labelled) -> Labelled:
    # Finding a child takes a lock and builds its name; labels are few, so each is looked for once.
    metric.labels = lru_cache(maxsize=None)(metric.labels)
    return metric
