import re
import shutil
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.utils import floatToGoString

from controlplane.telemetry.families import LATENCY_BUCKETS
from tests.docs.test_commands import shown
from tests.docs.test_commands import unknown as unknown_command
from tests.monitoring.catalogue import selectors, unknown
from tests.servers.promtool import PromtoolMissing, ensure_promtool

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "monitoring" / "prometheus"
FILES = sorted((PROMETHEUS / "rules").glob("*.yml"))
CASES = sorted((PROMETHEUS / "tests").glob("*.yml"))
PAGES = ROOT / "docs" / "runbooks"
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
DASHBOARDS = {"overview", "decisions", "federation", "devices", "policy", "health", "inference", "gateways"}
OTHERS_COUNT = {"alertmanager_notifications_failed_total", "prometheus_notifications_dropped_total"}
"""What rules ask of Prometheus and Alertmanager themselves."""


@cache
def _promtool() -> Path:
    return ensure_promtool()


@pytest.fixture
def promtool() -> Path:
    try:
        return _promtool()
    except PromtoolMissing as missing:
        pytest.skip(str(missing))


def rules() -> list[dict[str, Any]]:
    groups = [group for path in FILES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def _check(promtool: Path, *arguments: object) -> None:
    command = [str(promtool), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_accepts_configuration_and_rules(promtool: Path, tmp_path: Path) -> None:
    # It also looks for the token of /metrics, which is made where this runs.
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus", ignore=shutil.ignore_patterns("token"))
    (tmp_path / "prometheus" / "token").mkdir()
    (tmp_path / "prometheus" / "token" / "metrics-token").write_text("x")
    _check(promtool, "check", "config", tmp_path / "prometheus" / "prometheus.yml")


def test_promtool_has_nothing_against_a_rule(promtool: Path) -> None:
    _check(promtool, "check", "rules", "--lint=all", "--lint-fatal", *FILES)


@pytest.mark.parametrize("case", CASES, ids=[path.stem for path in CASES])
def test_alerts_fire_and_stay_quiet_as_their_tests_say(promtool: Path, case: Path) -> None:
    _check(promtool, "test", "rules", case)


def _expectations() -> dict[str, list[bool]]:
    """Whether each alert's tests expect it to fire."""
    found: dict[str, list[bool]] = {}
    for path in CASES:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for expected in case.get("alert_rule_test", []):
                found.setdefault(expected["alertname"], []).append(bool(expected["exp_alerts"]))
    return found


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_is_tested_to_fire_and_to_stay_quiet(name: str) -> None:
    assert set(_expectations()[name]) == {True, False}


def test_no_test_expects_something_of_an_alert_that_is_gone() -> None:
    assert set(_expectations()) == set(ALERTS)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_says_how_bad_it_is_what_to_do_and_where_to_look(name: str) -> None:
    alert, said = ALERTS[name], ALERTS[name]["annotations"]
    assert alert["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    assert said["summary"].endswith(".")
    assert said["description"].endswith(".")
    assert said["runbook_url"] == f"docs/runbooks/{name}.md"
    assert said["dashboard"].removeprefix("http://127.0.0.1:3000/d/ztfm-") in DASHBOARDS


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_has_a_page_that_says_what_it_means_what_it_costs_how_to_look_and_what_helps(name: str) -> None:
    lines = (PAGES / f"{name}.md").read_text().splitlines()
    assert lines[0] == f"# {name}"
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == HEADINGS
    for this, following in pairwise([at for at, line in enumerate(lines) if line.startswith("## ")]):
        assert "".join(lines[this + 1 : following]).strip(), lines[this]
    assert lines[-1].strip()


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_what_a_page_has_people_run_is_there(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text()
    diagnosis = text.partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert re.search(r"\b(ztfm |curl |docker compose |promtool |date\b)", diagnosis), "nothing in it can be run"
    assert [(" ".join(line), lacks) for line in shown(text) if (lacks := unknown_command(line))] == []


ABOUT_DECISIONS = re.compile(r"ztfm_(decision_errors|decision_denials|policy_faults)\b")


def test_from_an_alert_about_decisions_it_is_three_steps_to_one_of_them_and_why() -> None:
    found = [name for name, alert in ALERTS.items() if ABOUT_DECISIONS.search(alert["expr"])]
    assert len(found) == 5
    for name in found:
        # The page is the first step, the list the second, and the third says why.
        diagnosis = (PAGES / f"{name}.md").read_text().partition("## Diagnosis")[2].partition("## Mitigation")[0]
        ways = re.findall(r"ztfm (decisions list|decisions show|policy explain)", diagnosis)
        assert ways[0] == "decisions list", name
        assert ways[1] in ("decisions show", "policy explain"), name


def test_there_is_no_page_for_an_alert_that_is_gone_and_the_index_has_each_with_its_severity() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {*ALERTS, "README"}
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", (PAGES / "README.md").read_text(), re.MULTILINE)
    assert [(name, page) for name, page, _ in rows] == [(name, name) for name in sorted(ALERTS)]
    assert {name: severity for name, _, severity in rows} == {
        name: alert["labels"]["severity"] for name, alert in ALERTS.items()
    }


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    assert selectors(rule["expr"]) or "up{" in rule["expr"] or any(name in rule["expr"] for name in OTHERS_COUNT)
    assert unknown(rule["expr"], RECORDED) == []


def test_what_is_recorded_is_named_after_its_level_its_metric_and_what_was_done_to_it() -> None:
    assert [name for name in RECORDED if not re.fullmatch(r"[a-z_]+:ztfm_[a-z_]+:[a-z0-9_]+", name)] == []
    for rule in (one for one in rules() if "record" in one):
        level, _, operations = rule["record"].split(":")
        [grouped] = {*re.findall(r"sum by \(([^)]*)\)", rule["expr"])}
        # A label that is left out of the name is `job`, which everything has, or the edges that a quantile needs.
        assert {*grouped.split(", ")} - {"job", "le"} == {*level.split("_")} - {"job"}, rule["record"]
        windows = {*re.findall(r"\[(\w+)\]", rule["expr"])}
        assert windows == {*re.findall(r"\d+[mhd]$", operations)}, rule["record"]


def test_the_budgets_are_watched_over_a_long_window_and_a_short_one() -> None:
    burns = {("14.4", "1h", "5m"), ("6", "6h", "30m"), ("3", "1d", "2h"), ("1", "3d", "6h")}
    for metric, budget, name in (
        ("ztfm_decision_errors", "0.001", "ZtfmAvailability"),
        ("ztfm_slow_decisions", "0.01", "ZtfmLatency"),
    ):
        expr = ALERTS[f"{name}BurnsFast"]["expr"] + ALERTS[f"{name}BurnsSlowly"]["expr"]
        asked = re.findall(rf"job:{metric}:ratio_rate(\w+) > ([\d.]+) \* ([\d.]+)\n", expr)
        assert {share for *_, share in asked} == {budget}
        assert {(one[1], one[0], other[0]) for one, other in zip(asked[::2], asked[1::2], strict=True)} == burns
        assert all(one[1] == other[1] for one, other in zip(asked[::2], asked[1::2], strict=True))
        assert len(re.findall(rf"job:{metric}:increase\w+ >= 10\n", expr)) == len(burns)


def test_what_counts_as_slow_is_an_edge_of_the_histogram() -> None:
    read = r'ztfm_decision_duration_seconds_bucket\{le="([\d.]+)"'
    edges = {edge for rule in rules() for edge in re.findall(read, rule["expr"])}
    assert edges == {"0.08"}
    assert edges <= {floatToGoString(edge) for edge in LATENCY_BUCKETS}


@pytest.mark.parametrize(
    ("expr", "problem"),
    [
        ("rate(ztfm_decision_total[5m])", "ztfm_decision_total"),
        ('ztfm_decisions_total{verdict="deny"}', "ztfm_decisions_total{verdict}"),
        ("job:ztfm_gone:rate5m", "job:ztfm_gone:rate5m"),
        ("ztfm_opa_batch_size", "ztfm_opa_batch_size"),
    ],
)
def test_a_metric_that_does_not_exist_would_be_found(expr: str, problem: str) -> None:
    assert unknown(expr, RECORDED) == [problem]
