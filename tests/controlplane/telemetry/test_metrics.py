"""The exposition is well-formed, starts at zero, and cannot be made to grow."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.contracts.decision import Decision
from controlplane.observing import Observer
from controlplane.storage.exceptions import Uses
from controlplane.telemetry import Metrics
from controlplane.telemetry.behaviour_metrics import LEAST_TRUSTED
from controlplane.telemetry.families import LATENCY_BUCKETS
from controlplane.telemetry.labels import MAX_LABEL_VALUES, MAX_REVISIONS, OUTCOMES, PACKAGES, BoundedLabels
from tests.support import ControlPlane


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.expose()[0].decode())
    return {(item.name, frozenset(item.labels.items())): item.value for family in families for item in family.samples}


def test_counters_are_there_before_anything_happened() -> None:
    found = samples(Metrics("1.0", ["expired"]))
    for action in PACKAGES:
        for outcome in OUTCOMES:
            assert found["ztfm_decisions_total", frozenset({("action", action), ("outcome", outcome)})] == 0
    assert found["ztfm_capabilities_refused_total", frozenset({("cause", "expired")})] == 0
    assert found["ztfm_sidecar_restarts_total", frozenset()] == 0
    assert found["ztfm_build_info", frozenset({("version", "1.0")})] == 1


def test_names_follow_the_rules() -> None:
    for family in text_string_to_metric_families(Metrics("1.0").expose()[0].decode()):
        if family.name.startswith(("process_", "python_")):
            continue
        assert re.fullmatch(r"ztfm_[a-z_]+", family.name)
        assert family.documentation
        assert not re.search(r"_(ms|milliseconds|minutes|kb|percent)$", family.name)
    assert LATENCY_BUCKETS[0] == 0.00025


def test_a_cause_that_is_not_known_is_other() -> None:
    metrics = Metrics("1.0", ["expired"])
    for cause in ("expired", "made-up-1", "made-up-2"):
        metrics.capabilities.refused(cause)
    found = samples(metrics)
    assert found["ztfm_capabilities_refused_total", frozenset({("cause", "expired")})] == 1
    assert found["ztfm_capabilities_refused_total", frozenset({("cause", "other")})] == 2


def test_what_policies_name_is_bounded_and_one_kind_takes_no_room_of_another() -> None:
    metrics = Metrics("1.0")
    reasons = {metrics.reason(f"reason_{number}") for number in range(1000)}
    assert len(reasons) == MAX_LABEL_VALUES + 1
    assert metrics.segment("homes") == "homes"
    assert BoundedLabels(limit=1, known=["a"])("b") == "other"


def test_one_revision_is_shown_at_a_time() -> None:
    metrics = Metrics("1.0")
    observer = Observer(metrics, lambda: 7.0)
    for revision in ("first", "second", ""):
        observer.revision(revision)
    found = [labels for name, labels in samples(metrics) if name == "ztfm_policy_info"]
    assert found == [frozenset({("revision", "second")})]
    assert samples(metrics)["ztfm_policy_activated_timestamp_seconds", frozenset()] == 7.0


def test_the_observer_counts_what_the_parts_report() -> None:
    metrics = Metrics("1.0")
    observer = Observer(metrics, lambda: 1.0)
    observer.call("ok", 0.001, 3)
    observer.state(5, circuit_open=True)
    observer.fault(RuntimeError())
    observer.restarted(-9)
    observer.wrote(4)
    observer.lost(2)
    decision = Decision.model_validate(
        {
            "id": "dec-1",
            "time": 1.0,
            "action": "inference",
            "subject": "dev-secret",
            "resource": "m",
            "outcome": "deny",
            "reasons": [],
            "obligations": {},
            "rules": [],
            "ttl_seconds": 0.0,
            "policy_revision": "rev",
        }
    )
    observer.decided("inference", decision, 0.002)
    found = samples(metrics)
    none = frozenset[tuple[str, str]]()
    assert found["ztfm_opa_requests_total", frozenset({("result", "ok")})] == 1
    assert found["ztfm_opa_requests_total", frozenset({("result", "error")})] == 1
    assert found["ztfm_opa_queue_length", none] == 5
    assert found["ztfm_opa_circuit_open", none] == 1
    assert found["ztfm_sidecar_restarts_total", none] == 1
    assert found["ztfm_audit_records_total", frozenset({("result", "written")})] == 4
    assert found["ztfm_audit_records_total", frozenset({("result", "failed")})] == 2
    assert found["ztfm_decisions_total", frozenset({("action", "inference"), ("outcome", "deny")})] == 1


def test_no_label_names_a_device(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    device.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1}).expect(201)
    text = plane.metrics_text()
    assert device.id not in text
    assert device.key.thumbprint not in text


def promtool() -> str | None:
    built = Path(__file__).parents[3] / ".tools" / "bin" / "promtool"
    return os.environ.get("PROMTOOL_BIN") or shutil.which("promtool") or (str(built) if built.exists() else None)


@pytest.mark.skipif(promtool() is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say(plane: ControlPlane) -> None:
    text = plane.metrics_text().encode()
    checked = subprocess.run([str(promtool()), "check", "metrics"], input=text, capture_output=True, check=False)
    complaints = [line for line in checked.stderr.decode().splitlines() if line.startswith("ztfm_")]
    assert complaints == []


def test_a_use_of_exceptions_is_counted_once_and_a_search_uses_none() -> None:
    metrics = Metrics("1.0")
    observer = Observer(metrics, lambda: 1.0)
    decision = Decision.model_validate(
        {
            "id": "dec-1",
            "time": 5.0,
            "action": "inference",
            "subject": "dev-1",
            "resource": "m",
            "outcome": "allow",
            "reasons": [],
            "obligations": {"waived": ["trust_sufficient"], "exceptions": ["attestation-move", "exc-1"]},
            "rules": ["trust_sufficient"],
            "ttl_seconds": 60.0,
            "policy_revision": "rev",
        }
    )
    observer.decided("search", decision, 0.002)
    assert observer.exception_uses.take() == {}
    observer.decided("inference", decision, 0.002)
    assert observer.exception_uses.take() == {"exc-1": Uses(1, 5.0)}
    observer.excepting(3, 0.5)
    observer.exceptions_ending(2)
    found = samples(metrics)
    none = frozenset[tuple[str, str]]()
    about = frozenset({("action", "inference"), ("reason", "trust_sufficient")})
    assert found["ztfm_exceptions_used_total", about] == 1
    assert [found[f"ztfm_exceptions{name}", none] for name in ("", "_age_seconds", "_ending")] == [3, 0.5, 2]


def test_the_latest_revisions_are_counted_and_older_ones_make_room() -> None:
    metrics = Metrics("1.0")
    for number in range(MAX_REVISIONS + 3):
        metrics.decisions.by_revision.count(f"r{number}", "deny")
        metrics.decisions.by_revision.count(f"r{number}", "deny")
    shown = {dict(labels)["revision"] for name, labels in samples(metrics) if name == "ztfm_policy_decisions_total"}
    assert shown == {f"r{number}" for number in range(3, MAX_REVISIONS + 3)}
    latest = frozenset({("revision", f"r{MAX_REVISIONS + 2}"), ("outcome", "deny")})
    assert samples(metrics)["ztfm_policy_decisions_total", latest] == 2
    metrics.decisions.by_revision.count("r0", "error")
    again = frozenset({("revision", "r0"), ("outcome", "error")})
    assert samples(metrics)["ztfm_policy_decisions_total", again] == 1


def test_the_least_trusted_are_shown_by_rank_and_no_longer_than_they_are() -> None:
    metrics = Metrics("1.0")
    metrics.behaviour.least_trusted([0.1 * number for number in range(20)])
    ranks = {dict(labels)["rank"] for name, labels in samples(metrics) if name == "ztfm_least_trust_score"}
    assert ranks == {str(number) for number in range(1, LEAST_TRUSTED + 1)}
    metrics.behaviour.least_trusted([0.4])
    found = {labels: value for (name, labels), value in samples(metrics).items() if name == "ztfm_least_trust_score"}
    assert found == {frozenset({("rank", "1")}): 0.4}
