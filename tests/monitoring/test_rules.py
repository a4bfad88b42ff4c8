import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.catalogue import selectors, unknown
from tests.servers.promtool import PromtoolMissing, ensure_promtool

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "monitoring" / "rules"
FILES = sorted(RULES.glob("*.yml"))
CASES = sorted((RULES / "tests").glob("*.yml"))


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
    shutil.copytree(ROOT / "monitoring", tmp_path / "monitoring", ignore=shutil.ignore_patterns("token"))
    (tmp_path / "monitoring" / "token").mkdir()
    (tmp_path / "monitoring" / "token" / "metrics-token").write_text("x")
    _check(promtool, "check", "config", tmp_path / "monitoring" / "prometheus.yml")


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


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"page", "ticket"}
    path, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (\S+)$", (ROOT / path).read_text(), re.MULTILINE)
    assert name in headings
    assert anchor == name.lower()
    assert alert["annotations"]["summary"]


def test_the_runbook_has_no_section_for_an_alert_that_is_gone() -> None:
    headings = re.findall(r"^## (Ztfm\S+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(ALERTS)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    assert selectors(rule["expr"]) or "up{" in rule["expr"]
    assert unknown(rule["expr"], RECORDED) == []


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
