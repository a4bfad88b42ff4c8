"""The metrics of several processes as those of one: counters and histograms are added up, gauges as their name says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar

Snapshot = list[dict[str, Any]]
"""The families of one process, as they travel: name, text, kind, and samples of name, labels, value and exemplar.

An exemplar is its labels, its value and its time (Unix seconds), or none.
"""

Rule = Literal["sum", "max", "min"]

GAUGES: Mapping[str, Rule] = {
    "ztfm_event_listeners": "sum",
    "ztfm_change_followers": "sum",
    "ztfm_audit_queue_length": "sum",
    "ztfm_opa_queue_length": "sum",
    "ztfm_policy_current": "min",
    "ztfm_ready": "min",
    "ztfm_state_free_bytes": "min",
    "process_virtual_memory_bytes": "sum",
    "process_resident_memory_bytes": "sum",
    "process_open_fds": "sum",
    "process_max_fds": "min",
    "process_start_time_seconds": "min",
}
"""How gauges of several processes become one; those that are not named here by their greatest value."""

_ADDED = frozenset({"counter", "histogram"})
_Exemplar = tuple[Mapping[str, str], float, float]
_Key = tuple[str, tuple[tuple[str, str], ...]]


def take_snapshot(registry: CollectorRegistry) -> Snapshot:
    """Return what ``registry`` holds now."""
    return [
        {
            "name": family.name,
            "text": family.documentation,
            "kind": family.type,
            "samples": [
                (sample.name, sample.labels, sample.value, _travelling(sample.exemplar)) for sample in family.samples
            ],
        }
        for family in registry.collect()
    ]


def _travelling(exemplar: Exemplar | None) -> _Exemplar | None:
    return None if exemplar is None else (dict(exemplar.labels), exemplar.value, exemplar.timestamp or 0.0)


@dataclass
class _Family:
    name: str
    text: str
    kind: str
    values: dict[_Key, float] = field(default_factory=dict)
    exemplars: dict[_Key, _Exemplar] = field(default_factory=dict)

    def take(self, name: str, labels: Mapping[str, str], value: float, exemplar: _Exemplar | None) -> None:
        key = name, tuple(sorted(labels.items()))
        known = self.values.get(key)
        self.values[key] = value if known is None else self._both(name, known, value)
        if exemplar is not None and (key not in self.exemplars or self.exemplars[key][2] <= exemplar[2]):
            self.exemplars[key] = exemplar

    def _both(self, name: str, one: float, other: float) -> float:
        if name.endswith("_created"):
            return min(one, other)
        if self.kind in _ADDED:
            return one + other
        rule = GAUGES.get(self.name, "max")
        return one + other if rule == "sum" else max(one, other) if rule == "max" else min(one, other)


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return several snapshots as one."""
    families: dict[str, _Family] = {}
    for snapshot in snapshots:
        for item in snapshot:
            family = families.setdefault(item["name"], _Family(item["name"], item["text"], item["kind"]))
            for name, labels, value, exemplar in item["samples"]:
                # What is no number (NaN) does not travel, and would spoil every sum.
                if isinstance(value, (int, float)):
                    family.take(name, labels, float(value), exemplar)
    return [
        {
            "name": family.name,
            "text": family.text,
            "kind": family.kind,
            "samples": [
                (name, dict(labels), value, family.exemplars.get((name, labels)))
                for (name, labels), value in family.values.items()
            ],
        }
        for family in families.values()
    ]


def lasting(snapshot: Snapshot) -> Snapshot:
    """Return what is left of a process that has ended: what it counted. What it was goes with it."""
    return [item for item in snapshot if item["kind"] in _ADDED]


def expose(snapshot: Snapshot, accept: str = "") -> tuple[bytes, str]:
    """Return the exposition of a snapshot and its content type, as a scraper takes it (`Metrics.expose`)."""
    registry = CollectorRegistry()
    registry.register(_Collected(snapshot))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Collected:
    """A snapshot as prometheus_client wants it."""

    def __init__(self, snapshot: Sequence[dict[str, Any]]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        for item in self._snapshot:
            family = Metric(item["name"], item["text"], item["kind"])
            for name, labels, value, exemplar in item["samples"]:
                family.add_sample(name, labels, value, exemplar=None if exemplar is None else Exemplar(*exemplar))
            yield family
