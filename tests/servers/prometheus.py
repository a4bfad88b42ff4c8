"""A Prometheus of its own for tests, with the configuration and the rules that we ship."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port
from tests.servers.promtool import PromtoolMissing, ensure_promtool, find_prometheus

SHIPPED = Path(__file__).resolve().parents[2] / "monitoring" / "prometheus"
START_SECONDS = 20.0


@dataclass(frozen=True)
class Prometheus:
    """One that runs, and how to ask it."""

    address: str
    log: Path

    def value(self, query: str) -> float | None:
        """Return the first sample of a query; none when there is none."""
        found = self._get(f"/api/v1/query?query={urllib.parse.quote(query)}").get("result", [])
        return float(found[0]["value"][1]) if found else None

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules with their health."""
        return [rule for group in self._get("/api/v1/rules").get("groups", []) for rule in group["rules"]]

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        alerts = self._get("/api/v1/alerts").get("alerts", [])
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _get(self, path: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as response:
                data: dict[str, Any] = json.load(response)["data"]
                return data
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return {}


@contextmanager
def running_prometheus(
    folder: Path,
    token: str,
    places: Mapping[str, str],
    rewritten: Callable[[str], str] = lambda text: text,
    *flags: str,
) -> Iterator[Prometheus]:
    """Run a Prometheus in ``folder`` until the end of the context.

    Args:
        folder: an empty one.
        token: what it shows the control plane.
        places: what stands in the shipped configuration, and what stands there instead.
        rewritten: returns a shipped file as it is to be here, after ``places``.
        flags: further ones of the command.

    Raises:
        PromtoolMissing: there is no Prometheus here.
    """
    ensure_promtool()
    program = find_prometheus()
    if program is None:
        raise PromtoolMissing("there is a promtool, but no prometheus beside it")
    found = Prometheus(f"127.0.0.1:{free_port()}", folder / "log")
    config = (SHIPPED / "prometheus.yml").read_text()
    for there, here in {"localhost:9090": found.address, **places}.items():
        assert there in config, there
        config = config.replace(there, here)
    (folder / "rules").mkdir(parents=True)
    (folder / "token").mkdir()
    (folder / "token" / "metrics-token").write_text(token)
    (folder / "prometheus.yml").write_text(rewritten(config))
    for path in (SHIPPED / "rules").glob("*.yml"):
        (folder / "rules" / path.name).write_text(rewritten(path.read_text()))
    command = [str(program), f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address={found.address}"]
    with found.log.open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--storage.tsdb.path={folder / 'data'}", *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not found.is_ready():
            assert process.poll() is None and time.monotonic() < deadline, found.log.read_text()[-2000:]
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(timeout=20)
