"""An exemplar leads from a number to the decision behind it, where a scrape takes OpenMetrics, whoever counted it."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar

from controlplane.contracts.decision import Decision, Outcome
from controlplane.observing import Observer
from controlplane.telemetry import Metrics
from controlplane.telemetry.merging import expose, lasting, merge, take_snapshot
from tests.support import ControlPlane

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def exemplars(text: str) -> dict[str, list[Exemplar]]:
    found: dict[str, list[Exemplar]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.exemplar is not None:
                found.setdefault(sample.name, []).append(sample.exemplar)
    return found


def decision(name: str, outcome: Outcome, at: float) -> Decision:
    reasons = [] if outcome == "allow" else [{"code": "trust_low", "message": "trust is too low", "remedy": "behave"}]
    return Decision.model_validate(
        {
            "id": name,
            "time": at,
            "action": "inference",
            "subject": "dev-1",
            "resource": "m",
            "outcome": outcome,
            "reasons": reasons,
            "obligations": {},
            "rules": [],
            "ttl_seconds": 0.0,
            "policy_revision": "rev",
        }
    )


def ids(found: dict[str, list[Exemplar]], name: str) -> set[str]:
    return {one.labels["decision_id"] for one in found.get(name, [])}


def test_a_denial_is_found_from_its_count_its_reason_and_its_duration(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    refused = device.capability("inference", inference={"prompt_tokens": 10**6, "max_output_tokens": 1})
    decided = refused.expect(403)["decision_id"]
    shown = {"Authorization": f"Bearer {plane.services.access.metrics_token}", "Accept": OPENMETRICS}
    answer = plane.call("GET", "/metrics", headers=shown)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    found = exemplars(answer.body.decode())
    assert decided in ids(found, "ztfm_decisions_total")
    assert decided in ids(found, "ztfm_decision_reasons_total")
    assert decided in ids(found, "ztfm_decision_duration_seconds_bucket")


def test_plain_text_carries_none(plane: ControlPlane) -> None:
    assert " # {" not in plane.metrics_text()


def test_every_denial_leaves_one_and_of_what_is_allowed_one_a_second_does() -> None:
    metrics = Metrics("1.0")
    observer = Observer(metrics, lambda: 1.0)
    for name, outcome, at in (("a1", "allow", 10.0), ("a2", "allow", 10.9), ("d1", "deny", 10.1), ("d2", "deny", 10.2)):
        observer.decided("inference", decision(name, outcome, at), 0.002)
    text, _ = metrics.expose(OPENMETRICS)
    assert ids(exemplars(text.decode()), "ztfm_decisions_total") == {"a1", "d2"}
    observer.decided("inference", decision("a3", "allow", 11.0), 0.002)
    assert ids(exemplars(metrics.expose(OPENMETRICS)[0].decode()), "ztfm_decisions_total") == {"a3", "d2"}


def test_a_search_leaves_none() -> None:
    metrics = Metrics("1.0")
    Observer(metrics, lambda: 1.0).decided("search", decision("d1", "deny", 1.0), 0.002)
    assert exemplars(metrics.expose(OPENMETRICS)[0].decode()) == {}


def test_of_several_processes_the_latest_is_shown_also_after_one_has_ended() -> None:
    early, late = Metrics("1.0"), Metrics("1.0")
    Observer(early, lambda: 1.0).decided("inference", decision("first", "deny", 1.0), 0.002)
    Observer(late, lambda: 1.0).decided("inference", decision("second", "deny", 2.0), 0.002)
    snapshots = [take_snapshot(late.registry), lasting(take_snapshot(early.registry))]
    text, content_type = expose(merge(snapshots), OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    assert ids(exemplars(text.decode()), "ztfm_decisions_total") == {"second"}
