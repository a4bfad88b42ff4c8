"""The metrics of several processes read as those of one."""

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.telemetry import Metrics
from controlplane.telemetry.merging import GAUGES, Snapshot, expose, lasting, merge, take_snapshot


def samples(snapshot: Snapshot) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(expose(snapshot)[0].decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def one(decisions: int, queued: float = 0.0, ready: float = 1.0, revision: str = "r1") -> Metrics:
    metrics = Metrics("1.0")
    metrics.decisions.given.labels("inference", "allow").inc(decisions)
    for _ in range(decisions):
        metrics.decisions.duration.labels("inference").observe(0.003)
    metrics.engine.queue_length.set(queued)
    metrics.edge.ready.set(ready)
    metrics.policies.decides(revision, 5.0)
    return metrics


def travelled(metrics: Metrics) -> Snapshot:
    found: Snapshot = orjson.loads(orjson.dumps(take_snapshot(metrics.registry)))
    return found


def test_one_process_reads_as_it_would_by_itself() -> None:
    metrics = one(3)
    alone = {line for line in metrics.expose()[0].decode().splitlines() if "process_" not in line}
    merged = {line for line in expose(merge([travelled(metrics)]))[0].decode().splitlines() if "process_" not in line}
    assert merged == alone


def test_what_was_counted_is_added_up() -> None:
    found = samples(merge([travelled(one(3)), travelled(one(4))]))
    assert found["ztfm_decisions_total{action=inference,outcome=allow}"] == 7
    assert found["ztfm_decision_duration_seconds_count{action=inference}"] == 7
    assert found["ztfm_decision_duration_seconds_bucket{action=inference,le=0.004}"] == 7
    assert found["ztfm_decision_duration_seconds_bucket{action=inference,le=0.002}"] == 0


def test_gauges_become_one_as_they_are_meant() -> None:
    found = samples(merge([travelled(one(0, queued=2.0)), travelled(one(0, queued=3.0, ready=0.0))]))
    assert found["ztfm_opa_queue_length{}"] == 5
    assert found["ztfm_ready{}"] == 0, "one that cannot decide must show"
    assert found["ztfm_build_info{version=1.0}"] == 1
    assert found["ztfm_policy_info{revision=r1}"] == 1


def test_two_revisions_at_once_show_as_two() -> None:
    found = samples(merge([travelled(one(0)), travelled(one(0, revision="r2"))]))
    assert (found["ztfm_policy_info{revision=r1}"], found["ztfm_policy_info{revision=r2}"]) == (1, 1)


def test_of_a_process_that_ended_only_what_it_counted_is_left() -> None:
    ended = lasting(travelled(one(3, queued=9.0, revision="old")))
    found = samples(merge([ended, travelled(one(4))]))
    assert found["ztfm_decisions_total{action=inference,outcome=allow}"] == 7
    assert found["ztfm_opa_queue_length{}"] == 0
    assert "ztfm_policy_info{revision=old}" not in found


def test_what_ended_can_be_added_up_again_and_again() -> None:
    retired: Snapshot = []
    for _ in range(5):
        retired = merge([retired, lasting(travelled(one(2)))])
    assert samples(retired)["ztfm_decisions_total{action=inference,outcome=allow}"] == 10


def test_what_is_no_number_spoils_no_sum() -> None:
    metrics = one(1, queued=float("nan"))
    assert samples(merge([travelled(metrics), travelled(one(1, queued=2.0))]))["ztfm_opa_queue_length{}"] == 2


@pytest.mark.parametrize("name", sorted(GAUGES))
def test_every_rule_is_about_a_gauge_that_exists(name: str) -> None:
    kinds = {family.name: family.type for family in Metrics("1.0").registry.collect()}
    assert kinds.get(name) == "gauge"
