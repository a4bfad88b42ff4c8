"""Prometheus Alertmanager and its amtool for tests: found, or installed on a bare Debian machine.

`python -m tests.servers.alertmanager` prints where they are, or why there are none.
"""

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers.debian import NotInstalled, alone, apt, can_install
from tests.servers.ports import free_port

CONFIG = Path(__file__).resolve().parents[2] / "monitoring" / "alertmanager" / "alertmanager.yml"
START_SECONDS = 20.0
_INSTALL_SECONDS = 240.0
_SERVER_NAMES = ("alertmanager", "prometheus-alertmanager")


class AlertmanagerMissing(Exception):  # noqa: N818 - a state, as tests see it
    """There is no Alertmanager here; the message says why."""


class Alertmanager(NamedTuple):
    """The two programs."""

    server: Path
    amtool: Path


def find_alertmanager() -> Alertmanager | None:
    """Return both programs on ``PATH``; none unless both are there."""
    server = next((found for name in _SERVER_NAMES if (found := shutil.which(name))), None)
    amtool = shutil.which("amtool")
    return Alertmanager(Path(server), Path(amtool)) if server and amtool else None


def ensure_alertmanager() -> Alertmanager:
    """Return Alertmanager and amtool; as root on Debian they are installed first when they are missing.

    Raises:
        AlertmanagerMissing: they are not there and cannot be installed.
    """
    found = find_alertmanager()
    if found is None:
        if not can_install():
            raise AlertmanagerMissing("Alertmanager is not installed; as root on Debian it is installed by itself")
        try:
            found = _install()
        except NotInstalled as error:
            raise AlertmanagerMissing(str(error)) from None
    if found is None:
        raise AlertmanagerMissing(
            "Debian's package prometheus-alertmanager was installed, but did not bring both programs"
        )
    return found


@dataclass(frozen=True)
class Running:
    """One that runs, and how to ask it."""

    address: str

    def tell(self, *alerts: dict[str, Any]) -> None:
        """Tell it of alerts, as Prometheus does."""
        headers = {"Content-Type": "application/json"}
        body = json.dumps(alerts).encode()
        urllib.request.urlopen(
            urllib.request.Request(f"http://{self.address}/api/v2/alerts", body, headers), timeout=10
        ).close()

    def states(self) -> dict[str, str]:
        """Return by the names of alerts whether each is ``active`` or ``suppressed``."""
        found = json.loads(self.get("/api/v2/alerts"))
        return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in found}

    def get(self, path: str) -> bytes:
        """Return what it answers."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as response:
            return bytes(response.read())

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.get("/-/ready"))
        except OSError:
            return False


@contextmanager
def running_alertmanager(folder: Path, token: str, places: Mapping[str, str]) -> Iterator[Running]:
    """Run an Alertmanager in ``folder`` with the configuration that we ship, until the end of the context.

    Args:
        folder: an empty one.
        token: what it shows the control plane.
        places: what stands in the shipped configuration, and what stands there instead.

    Raises:
        AlertmanagerMissing: there is none here.
    """
    program = ensure_alertmanager().server
    config = CONFIG.read_text()
    for there, here in places.items():
        assert there in config, there
        config = config.replace(there, here)
    (folder / "token").mkdir(parents=True)
    (folder / "token" / "alerts-token").write_text(token)
    (folder / "alertmanager.yml").write_text(config)
    found = Running(f"127.0.0.1:{free_port()}")
    command = [str(program), f"--config.file={folder / 'alertmanager.yml'}", f"--web.listen-address={found.address}"]
    command += [f"--storage.path={folder / 'data'}", "--cluster.listen-address="]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not found.is_ready():
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(timeout=20)


def _install() -> Alertmanager | None:
    deadline = time.monotonic() + _INSTALL_SECONDS
    with alone(deadline):
        if found := find_alertmanager():
            return found
        apt(deadline, "update")
        apt(deadline, "install", "prometheus-alertmanager")
        return find_alertmanager()


if __name__ == "__main__":
    try:
        print(*ensure_alertmanager(), sep="\n")
    except AlertmanagerMissing as missing:
        sys.exit(str(missing))
