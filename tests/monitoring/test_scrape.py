"""A real Prometheus scrapes a real exposition with the configuration that we ship."""

import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from controlplane.telemetry import Metrics
from tests.servers.ports import free_port
from tests.servers.promtool import PromtoolMissing, ensure_promtool, find_prometheus

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
START_SECONDS = 15.0
TOKEN = "a-token-that-prometheus-reads-from-its-file"


@pytest.fixture
def exposition() -> Iterator[str]:
    metrics = Metrics("0.1.0")
    metrics.decisions.labels("inference", "allow").inc(10)
    metrics.policy_revision("abc.def", time.time())
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
def prometheus(tmp_path: Path, exposition: str) -> Iterator[str]:
    try:
        ensure_promtool()
    except PromtoolMissing as missing:
        pytest.skip(str(missing))
    program = find_prometheus()
    if program is None:
        pytest.skip("there is a promtool, but no prometheus beside it")
    shutil.copytree(MONITORING / "rules", tmp_path / "rules")
    (tmp_path / "token").mkdir()
    (tmp_path / "token" / "metrics-token").write_text(TOKEN)
    config = (MONITORING / "prometheus.yml").read_text()
    address = f"127.0.0.1:{free_port()}"
    for there, here in (("controlplane:8181", exposition), ("localhost:9090", address), (": 15s", ": 1s")):
        assert there in config
        config = config.replace(there, here)
    config = config.replace("scrape_timeout: 5s", "scrape_timeout: 1s")
    (tmp_path / "prometheus.yml").write_text(config)
    for path in (tmp_path / "rules").glob("*.yml"):
        path.write_text(path.read_text().replace("interval: 15s", "interval: 1s"))
    command = [str(program), f"--config.file={tmp_path / 'prometheus.yml'}", f"--web.listen-address={address}"]
    command.append(f"--storage.tsdb.path={tmp_path / 'data'}")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait(lambda: _get(address, "/-/ready") is not None, tmp_path / "log")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


def test_it_scrapes_the_control_plane_and_evaluates_every_rule(prometheus: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    _wait(lambda: _value(prometheus, 'up{job="ztfm"}') == 1.0, log)
    _wait(lambda: _value(prometheus, 'ztfm_decisions_total{action="inference",outcome="allow"}') == 10.0, log)
    _wait(lambda: all(rule["health"] == "ok" for rule in _rules(prometheus)), log)
    assert {rule["name"] for rule in _rules(prometheus) if rule["type"] == "alerting"} >= {"ZtfmControlPlaneDown"}
    assert [rule["name"] for rule in _rules(prometheus) if rule.get("state") == "firing"] == []


def _rules(address: str) -> list[dict[str, Any]]:
    answer = json.loads(_get(address, "/api/v1/rules") or "{}")
    return [rule for group in answer["data"]["groups"] for rule in group["rules"]]


def _value(address: str, query: str) -> float | None:
    answer = json.loads(_get(address, f"/api/v1/query?query={urllib.parse.quote(query)}") or "{}")
    found = answer.get("data", {}).get("result", [])
    return float(found[0]["value"][1]) if found else None


def _get(address: str, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as response:
            return str(response.read().decode())
    except (urllib.error.URLError, ConnectionError):
        return None


def _wait(until: Any, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not until():
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.1)
