"""What a guard did, as Prometheus reads it."""

import urllib.request
from types import SimpleNamespace
from typing import cast

from prometheus_client import CollectorRegistry

from adapters.guard import Guard
from adapters.guard.reports import ArchiveStanding, GuardReport, RoundReport
from adapters.metrics import MOST_CAUSES, OTHER, GuardCollector, served

LABELS = {"audience": "aggregator-1", "model": "m"}


def registry(report: GuardReport) -> CollectorRegistry:
    found = CollectorRegistry()
    found.register(GuardCollector(report, **LABELS))
    return found


def value(of: CollectorRegistry, name: str, **labels: str) -> float | None:
    return cast("float | None", of.get_sample_value(f"ztfm_adapter_{name}", {**LABELS, **labels}))


def test_what_is_looked_for_is_there_before_anything_happened() -> None:
    found = registry(GuardReport())
    assert value(found, "rounds_total", stage="gated") == 0
    assert value(found, "pulls_total", outcome="allowed") == 0
    assert value(found, "updates_total", outcome="accepted") == 0
    assert value(found, "drops_total", point="gate", cause="absent") == 0
    assert value(found, "rollbacks_total", outcome="failed") == 0
    assert value(found, "last_round_timestamp_seconds") == 0


def test_what_a_guard_counts_is_told() -> None:
    report = GuardReport(opened=3, gated=2, gated_at=5.0, archive=ArchiveStanding(2, 700, 0))
    found = registry(report)
    report.updates.update({"accepted": 4, "update_aligned": 1})
    report.drops["gate", "update_aligned"] += 1
    report.rollbacks["done"] += 1
    report.rounds.append(RoundReport("r", 6, pulled=5, submitted=5, accepted=4))
    assert value(found, "rounds_total", stage="opened") == 3
    assert value(found, "updates_total", outcome="accepted") == 4
    assert value(found, "updates_total", outcome="update_aligned") == 1
    assert value(found, "drops_total", point="gate", cause="update_aligned") == 1
    assert value(found, "rollbacks_total", outcome="done") == 1
    assert value(found, "last_round_members", stage="accepted") == 4
    assert value(found, "last_round_timestamp_seconds") == 5.0
    assert value(found, "archive_size_bytes") == 700


def test_causes_that_policies_invent_are_told_apart_up_to_a_number() -> None:
    report = GuardReport()
    found = registry(report)
    for number in range(3 * MOST_CAUSES):
        report.updates[f"cause_{number}"] = 1
    (family,) = [one for one in found.collect() if one.name == "ztfm_adapter_updates"]
    assert len(family.samples) <= MOST_CAUSES + 2
    assert value(found, "updates_total", outcome=OTHER) == 2 * MOST_CAUSES


def test_they_are_served_for_as_long_as_the_block_lasts() -> None:
    guard = cast("Guard", SimpleNamespace(report=GuardReport(), **LABELS))
    with served(guard) as url, urllib.request.urlopen(url, timeout=5) as answer:
        assert b'ztfm_adapter_rounds_total{audience="aggregator-1",model="m",stage="gated"} 0.0' in answer.read()
