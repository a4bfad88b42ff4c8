"""Alertmanager with the configuration that we ship: who hears of what, and what is kept from whom."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.test_rules import ALERTS, ROOT
from tests.servers.alertmanager import (
    CONFIG,
    Alertmanager,
    AlertmanagerMissing,
    Running,
    ensure_alertmanager,
    running_alertmanager,
)
from tests.servers.ports import free_port
from tests.support import wait_until

SHIPPED = yaml.safe_load(CONFIG.read_text())
TOKEN = "a-token-that-alertmanager-reads-from-its-file"
PLANE = {"job": "ztfm", "instance": "controlplane:8181"}


@pytest.fixture(scope="module")
def programs() -> Alertmanager:
    try:
        return ensure_alertmanager()
    except AlertmanagerMissing as missing:
        pytest.skip(str(missing))


def receivers(programs: Alertmanager, **labels: str) -> list[str]:
    """Return who hears of an alert with these labels, as amtool works it out."""
    said = [f"{name}={value}" for name, value in labels.items()]
    command = [str(programs.amtool), "config", "routes", "test", f"--config.file={CONFIG}", *said]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return result.stdout.strip().split(",")


def test_amtool_accepts_the_configuration(programs: Alertmanager) -> None:
    command = [str(programs.amtool), "check-config", str(CONFIG)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_asks_the_alertmanager_of_the_compose_file_and_scrapes_it() -> None:
    prometheus = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text())
    told = prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    [scraped] = [one for one in prometheus["scrape_configs"] if one["job_name"] == "alertmanager"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert told == scraped["static_configs"][0]["targets"] == ["alertmanager:9093"]
    assert set(services["alertmanager"]["networks"]) & set(services["prometheus"]["networks"])
    assert set(services["alertmanager"]["networks"]) & set(services["controlplane"]["networks"])
    assert (
        "./monitoring/alertmanager/alertmanager.yml:/etc/alertmanager/alertmanager.yml:ro"
        in (services["alertmanager"]["volumes"])
    )
    assert "alerts:/etc/alertmanager/token:ro" in services["alertmanager"]["volumes"]


def test_each_alert_is_routed_by_its_severity_and_told_to_the_control_plane(programs: Alertmanager) -> None:
    severities = {"page": "pages", "ticket": "tickets"}
    for name in ("ZtfmPoisoningCampaign", "ZtfmPolicyEngineDown"):
        severity = ALERTS[name]["labels"]["severity"]
        assert receivers(programs, alertname=name, severity=severity) == ["ztfm-policy", severities[severity]]
    assert receivers(programs, alertname="ZtfmControlPlaneDown", severity="page") == ["pages"]
    assert receivers(programs, alertname="SomebodyElses", severity="page") == ["pages"]
    assert receivers(programs, alertname="SomebodyElses") == ["tickets"]


def test_what_silences_and_what_is_silenced_are_alerts() -> None:
    matchers = [
        matcher
        for rule in SHIPPED["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        if not matcher.startswith("alertname!=")
    ]
    for matcher in matchers:
        pattern = re.fullmatch(r'alertname=~?"(.+)"', matcher)
        assert pattern is not None, matcher
        for part in pattern[1].split("|") if "(" not in pattern[1] else [pattern[1]]:
            assert any(re.fullmatch(part, name) for name in ALERTS), part


class Told(ThreadingHTTPServer):
    """Stands for the control plane: keeps what it is told, and by whom."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.alerts: dict[str, str] = {}
        self.authorizations: set[str] = set()
        self.largest = 0


class _Hook(BaseHTTPRequestHandler):
    server: Told

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.authorizations.add(f"{self.path} {self.headers['Authorization']} {body['receiver']}")
        self.server.largest = max(self.server.largest, len(body["alerts"]))
        for alert in body["alerts"]:
            self.server.alerts[alert["labels"]["alertname"]] = alert["status"]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def told() -> Iterator[Told]:
    server = Told()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def running(programs: Alertmanager, told: Told, tmp_path: Path) -> Iterator[Running]:
    """An Alertmanager with the shipped configuration, which tells ``told``."""
    places = {"controlplane:8181": f"127.0.0.1:{told.server_port}", "group_interval: 30s": "group_interval: 1s"}
    with running_alertmanager(tmp_path / "alertmanager", TOKEN, places) as found:
        yield found


def test_the_control_plane_hears_of_causes_with_its_token_and_not_of_what_follows(running: Running, told: Told) -> None:
    running.tell(_alert(alertname="ZtfmPolicyEngineDown", severity="page", **PLANE))
    wait_until(lambda: "ZtfmPolicyEngineDown" in told.alerts, 20)
    running.tell(_alert(alertname="ZtfmNotReady", severity="page", **PLANE))
    for name in ("ZtfmBehaviourNotJudged", "ZtfmLogTermsMissing"):
        running.tell(_alert(alertname=name, severity="ticket", **PLANE))
    running.tell(_alert(alertname="ZtfmAlertsNotDelivered", severity="ticket", job="alertmanager"))
    running.tell(_alert(alertname="ZtfmAvailabilityBurnsFast", severity="page", job="ztfm"))
    running.tell(_alert(alertname="ZtfmNotReady", severity="page", job="ztfm", instance="another:8181"))
    running.tell(_alert(alertname="ZtfmPoisoningCampaign", severity="ticket", job="ztfm", segment="homes"))
    wait_until(lambda: {"ZtfmPoisoningCampaign", "ZtfmNotReady"} <= set(told.alerts), 20)
    time.sleep(1.0)
    assert told.alerts == dict.fromkeys(("ZtfmPolicyEngineDown", "ZtfmNotReady", "ZtfmPoisoningCampaign"), "firing")
    assert told.authorizations == {f"/v1/alerts Bearer {TOKEN} ztfm-policy"}
    assert told.largest == 1
    assert b"\nalertmanager_notifications_failed_total{" in running.get("/metrics")
    running.tell(_ended(_alert(alertname="ZtfmPoisoningCampaign", severity="ticket", job="ztfm", segment="homes")))
    wait_until(lambda: told.alerts["ZtfmPoisoningCampaign"] == "resolved", 20)


def test_a_control_plane_that_is_down_silences_what_follows_and_not_its_neighbour(running: Running, told: Told) -> None:
    running.tell(_alert(alertname="ZtfmControlPlaneDown", severity="page", **PLANE))
    wait_until(lambda: running.states().get("ZtfmControlPlaneDown") == "active", 20)
    running.tell(_alert(alertname="ZtfmPolicyNotCurrent", severity="page", layer="base", **PLANE))
    running.tell(_alert(alertname="ZtfmRoundsNotGated", severity="ticket", audience="aggregator-1", model="m"))
    running.tell(_alert(alertname="ZtfmSigningKeyOld", severity="ticket", job="ztfm", instance="another:8181"))
    wait_until(lambda: "ZtfmSigningKeyOld" in told.alerts, 20)
    wait_until(lambda: running.states().get("ZtfmRoundsNotGated") == "suppressed", 20)
    wait_until(lambda: running.states().get("ZtfmPolicyNotCurrent") == "suppressed", 20)
    assert set(told.alerts) == {"ZtfmSigningKeyOld"}


def test_it_is_healthy_as_the_compose_file_asks_only_while_it_runs(running: Running, programs: Alertmanager) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    kind, program, *asked = services["alertmanager"]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "amtool")
    for address, answers in ((running.address, True), (f"127.0.0.1:{free_port()}", False)):
        command = [str(programs.amtool), *(word.replace("127.0.0.1:9093", address) for word in asked)]
        result = subprocess.run(command, capture_output=True, timeout=10, check=False)
        assert (result.returncode == 0) is answers


def _alert(**labels: str) -> dict[str, Any]:
    return {"labels": labels, "annotations": {"summary": "Something."}}


def _ended(alert: dict[str, Any]) -> dict[str, Any]:
    return {**alert, "endsAt": datetime.now(UTC).isoformat()}
