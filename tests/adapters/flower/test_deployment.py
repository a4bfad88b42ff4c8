"""Flower's deployment engine with the proxy in it, all in processes of their own."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.member import Member
from tests.adapters.flower.processes import ROOT, Processes, processes
from tests.servers.ports import free_port
from tests.support import MODEL, ControlPlane, wait_until

APP = ROOT / "examples" / "flower_deployment"
SECONDS = 30


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Processes]:
    """Where programs are started."""
    with processes(tmp_path) as found:
        yield found


def enrolled(plane: ControlPlane, folder: Path, role: str) -> str:
    segment = "homes" if role in ("trainer", "consumer") else "core"
    with Member.enrol(folder, plane.url, plane.token([role], segment), roles=[role], segment=segment) as member:
        return member.id


def is_open(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def start_superlink(started: Processes, port: str) -> None:
    started.start(
        "superlink",
        "flower-superlink",
        *("--insecure", "--host", "127.0.0.1", "--port", port, "--disable-runtime-dependency-installation"),
    )
    (started.folder / "flower" / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    )


def start_proxy(started: Processes, port: str, report: Path) -> str:
    started.start(
        "proxy",
        *("-m", "adapters.flower.proxy", "--state", str(started.folder / "gateway"), "--model", MODEL),
        *("--upstream", f"http://127.0.0.1:{port}", "--listen", "127.0.0.1:0", "--report", str(report), "--json"),
    )
    return str(started.ready("proxy")["public_url"])


def start_sidecar(started: Processes, name: str, proxy: str) -> None:
    started.start(
        f"sidecar-{name}",
        *("-m", "adapters.flower.proxy.sidecar", "--device", str(started.folder / name), "--proxy", proxy),
        *("--listen", "127.0.0.1:0", "--json"),
    )


def start_node(started: Processes, name: str, *, member: str, seed: int) -> "subprocess.Popen[bytes]":
    """Start a SuperNode behind its sidecar; ``member`` is the device that its app says it is."""
    address = started.ready(f"sidecar-{name}")["listens"].removeprefix("http://")
    return started.start(
        f"node-{name}",
        *("flower-supernode", "--insecure", "--superlink", address, "--port", str(free_port())),
        *("--node-config", f'device="{started.folder / member}" seed={seed}'),
    )


@pytest.mark.minutes
@pytest.mark.timeout(280)
def test_a_deployment_trains_with_those_who_may_and_ends_without_the_others(
    plane: ControlPlane, started: Processes
) -> None:
    roles = {"gateway": "gateway", "aggregator": "aggregator", "consumer": "consumer"}
    roles |= dict.fromkeys(("steady", "leaving", "lender"), "trainer")
    names = {name: enrolled(plane, started.folder / name, role) for name, role in roles.items()}
    report, results = started.folder / "report.json", started.folder / "results.jsonl"
    port = str(free_port())
    start_superlink(started, port)
    proxy = start_proxy(started, port, report)
    for name in ("steady", "leaving", "consumer"):
        start_sidecar(started, name, proxy)
    start_node(started, "steady", member="steady", seed=1)
    leaving = start_node(started, "leaving", member="leaving", seed=2)
    # Its app was lent a trainer's key, so that the server believes in it; its device may not train.
    consumer = start_node(started, "consumer", member="lender", seed=3)
    given = {"aggregator": str(started.folder / "aggregator"), "results": str(results), "nodes": 3}
    given |= {"rounds": 2, "seconds": SECONDS}
    stated = " ".join(f"{name}={json.dumps(value)}" for name, value in given.items())
    wait_until(lambda: is_open(port), 60.0, started.log("superlink"))
    started.run("run", "flwr", "run", str(APP), "--run-config", stated)

    def told() -> list[dict[str, Any]]:
        return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []

    wait_until(lambda: len(told()) >= 1, 150.0, started.log("superlink"))
    administrator = plane.enrol("administrator")
    administrator.post(f"/v1/devices/{names['leaving']}/status", {"status": "revoked", "reason": "Test."}).expect(200)
    consumer.send_signal(signal.SIGTERM)
    assert leaving.wait(30) is not None, started.log("node-leaving")
    wait_until(lambda: bool(told()) and bool(told()[-1].get("ended")), 120.0, started.log("superlink"))
    first, second, end = told()
    assert (first["pulled"], first["accepted"]) == (3, 2)
    assert ["gate", "absent", names["lender"]] in first["drops"]
    assert second["accepted"] == 1
    assert end["error"] < 1.0
    wait_until(lambda: "pull-object" in json.loads(report.read_text())["calls"], 10.0)
    found = json.loads(report.read_text())
    assert set(found["weights_bytes"]) == {names["steady"], names["leaving"]}
    assert found["weights_bytes"][names["steady"]] > found["weights_bytes"][names["leaving"]] > 0
    # With whichever call it came first, a revoked node hears so once and stops.
    assert sum(outcomes.get("revoked", 0) for outcomes in found["calls"].values()) >= 1
