"""A real Prometheus scrapes a real exposition with the configuration that we ship."""

import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from controlplane.telemetry import Metrics
from tests.monitoring.test_rules import ALERTS
from tests.servers.prometheus import Prometheus, running_prometheus
from tests.servers.promtool import PromtoolMissing, ensure_promtool
from tests.support import ControlPlane, wait_until

TOKEN = "a-token-that-prometheus-reads-from-its-file"


@pytest.fixture
def exposition() -> Iterator[str]:
    metrics = Metrics("0.1.0")
    metrics.decisions.given.labels("inference", "allow").inc(10)
    metrics.policies.decides("abc.def", time.time())
    body, content_type = metrics.expose()

    class Exposition(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.send_response(401)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Exposition)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def prometheus(tmp_path: Path, exposition: str) -> Iterator[Prometheus]:
    # Alertmanager is tried in test_alertmanager.py; something has to answer.
    places = {
        "controlplane:8181": exposition,
        "alertmanager:9093": exposition,
        "scrape_timeout: 5s": "scrape_timeout: 1s",
    }
    try:
        with running_prometheus(tmp_path / "prometheus", TOKEN, places, often) as found:
            yield found
    except PromtoolMissing as missing:
        pytest.skip(str(missing))


def often(text: str) -> str:
    """Return a file of Prometheus with what it does each 15 s done each second."""
    return text.replace("interval: 15s", "interval: 1s")


def test_it_scrapes_the_control_plane_and_evaluates_every_rule(prometheus: Prometheus) -> None:
    wait_until(lambda: prometheus.value('up{job="ztfm"}') == 1.0, 15)
    wait_until(lambda: prometheus.value('ztfm_decisions_total{action="inference",outcome="allow"}') == 10.0, 15)
    wait_until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), 15)
    assert {rule["name"] for rule in prometheus.rules() if rule["type"] == "alerting"} == set(ALERTS)
    assert prometheus.firing() == set()
    wait_until(lambda: prometheus.value('prometheus_notifications_dropped_total{job="prometheus"}') is not None, 15)


def test_promtool_has_nothing_against_what_a_control_plane_shows(plane: ControlPlane) -> None:
    try:
        promtool = ensure_promtool()
    except PromtoolMissing as missing:
        pytest.skip(str(missing))
    device = plane.enrol("consumer")
    device.capability("inference", audience="gateway-1")
    shown = plane.metrics_text()
    assert 'ztfm_decisions_total{action="inference"' in shown
    command = [str(promtool), "check", "metrics"]
    result = subprocess.run(command, input=shown, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
