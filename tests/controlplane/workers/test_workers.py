"""Several processes serve as one: what one of them saw all know, and the end of one is the end of nothing."""

import asyncio
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.household import ROUND, populate
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from controlplane.settings import Settings
from controlplane.workers.parent import count_of, recommended_workers, settings_of_workers
from tests.controlplane.api.alerts import alert, delivery, moment
from tests.controlplane.cli.processes import ZTFM, opa_of, serve
from tests.support import wait_until

CONNECTIONS = 8
ASKED = json.dumps(
    {
        "action": "model_access",
        "resource": {"type": "model", "id": "smart-home-intents", "properties": {"digest": "sha256:" + "a" * 64}},
        "audience": "fl-server",
        "context": {"purpose": "training", "round_id": ROUND},
    }
)


@dataclass
class Plane:
    """A control plane of two workers.

    Attributes:
        url: where it listens.
        process: the parent.
        state: its folder.
        place: its Unix socket.
        keys: of devices that are enrolled.
    """

    url: str
    process: psutil.Process
    state: Path
    place: Path
    keys: list[DeviceKey]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)

    def once(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[int, bytes]:
        """Ask over a connection of its own, which any worker may get."""
        with closing(self.connect()) as connection:
            return call(connection, method, path, headers, body)

    def workers(self) -> list[psutil.Process]:
        return [one for one in self.process.children() if "controlplane.workers.worker" in one.cmdline()]

    def proof(self, key: DeviceKey) -> str:
        return make_proof(key, method="POST", url=f"{self.url}/v1/capabilities", now=time.time())

    def exposition(self) -> str:
        token = (self.state / "metrics-token").read_text().strip()
        status, body = self.once("GET", "/metrics", {"Authorization": f"Bearer {token}"})
        assert status == 200
        return body.decode()

    def metrics(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(self.exposition()):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
        return found

    def all_work(self) -> bool:
        return self.metrics()["ztfm_workers"] == 2.0


def call(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> tuple[int, bytes]:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Two workers; at the end they must stop in order, under load, and leave nothing."""
    folder = tmp_path_factory.mktemp("workers")
    state, place = folder / "s", folder / "edge.sock"
    state.mkdir(mode=0o700)
    keys = asyncio.run(populate(state, 4))
    with serve(state, "--workers", "2", ZTFM_LISTEN_SOCKET=str(place)) as (process, line):
        found = Plane(line["url"], psutil.Process(process.pid), state, place, keys)
        assert line["workers"] == 2
        yield found
        below = found.process.children(recursive=True)
        with load(found):
            process.terminate()
            assert process.wait(20) == 0
        assert psutil.wait_procs(below, timeout=5)[1] == []
    assert not place.exists()


@contextmanager
def load(plane: Plane) -> Iterator[None]:
    stop, answered = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        with closing(plane.connect()) as connection, suppress(OSError, http.client.HTTPException):
            while not stop.is_set():
                assert call(connection, "GET", "/readyz", {})[0] in {200, 503}
                answered.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert all(answered.acquire(timeout=10) for _ in range(20))
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)


def kill_one(plane: Plane) -> int:
    """Kill a worker and return its process id once it is gone: with it goes what it had accepted."""
    wait_until(plane.all_work, what="both workers")
    victim: int = plane.workers()[0].pid
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(victim), what="its end")
    return victim


@pytest.fixture
def together() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        yield pool


def meeting(pool: ThreadPoolExecutor, work: Callable[[int], int], count: int) -> list[int]:
    return list(pool.map(work, range(count)))


def test_both_workers_take_connections(plane: Plane) -> None:
    held = [plane.connect() for _ in range(64)]
    for connection in held:
        assert call(connection, "GET", "/livez", {})[0] == 200
    port = urlsplit(plane.url).port
    taken = [
        sum(1 for link in worker.net_connections("tcp") if link.laddr.port == port and link.status == "ESTABLISHED")
        for worker in plane.workers()
    ]
    for connection in held:
        connection.close()
    assert len(taken) == 2
    assert min(taken) >= 10, "the kernel deals connections out by chance: fewer is one in a million"


def test_a_proof_passes_once_however_many_workers_are_shown_it(plane: Plane, together: ThreadPoolExecutor) -> None:
    held = [plane.connect() for _ in range(CONNECTIONS)]
    for _ in range(150):
        headers = {"DPoP": plane.proof(plane.keys[0]), "Content-Type": "application/json"}
        found = meeting(
            together,
            lambda index, sent=headers: call(held[index], "POST", "/v1/capabilities", sent, ASKED)[0],  # type: ignore[misc]
            CONNECTIONS,
        )
        # Who insists on a proof that was used is soon told to wait.
        assert found.count(201) == 1, found
        assert set(found) <= {201, 401, 429}
    for connection in held:
        connection.close()


def test_budgets_are_those_of_one_process(plane: Plane) -> None:
    key = plane.keys[1]
    seen = []
    for _ in range(40):
        headers = {"DPoP": plane.proof(key), "Content-Type": "application/json"}
        status, body = plane.once("POST", "/v1/capabilities", headers, ASKED)
        assert status == 201, body
        decision = json.loads(body)["decision_id"]
        seen.append(decision)
    with sqlite3.connect(plane.state / "ztfm.db") as database:
        facts = [
            json.loads(row[0])["facts"]["context"]["usage"]["requests"]
            for row in database.execute("SELECT document FROM decisions WHERE id >= ?", (min(seen),))
        ]
    assert sorted(facts) == list(range(40)), "each request sees all before it, whoever answered them"


def test_strangers_share_one_allowance(plane: Plane) -> None:
    refused = 0
    started = time.monotonic()
    for _ in range(400):
        refused += plane.once("POST", "/v1/capabilities", {"Content-Type": "application/json"}, "{}")[0] == 401
    assert refused <= 100 + 20 * (time.monotonic() - started) + 1


def test_a_nonce_of_one_worker_is_taken_by_the_other(plane: Plane) -> None:
    key = plane.keys[2]
    _, nonce = _with_nonce(plane, key, None)
    for _ in range(8):
        status, nonce = _with_nonce(plane, key, nonce)
        assert status == 201


def _with_nonce(plane: Plane, key: DeviceKey, nonce: str | None) -> tuple[int, str]:
    proof = make_proof(key, method="POST", url=f"{plane.url}/v1/capabilities", now=time.time(), nonce=nonce)
    with closing(plane.connect()) as connection:
        connection.request("POST", "/v1/capabilities", ASKED, {"DPoP": proof, "Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, str(answer.headers["DPoP-Nonce"])


def test_metrics_tell_of_all_workers_whichever_is_asked(plane: Plane) -> None:
    before = _livez(plane)
    for _ in range(30):
        plane.once("GET", "/livez", {})
    assert [_livez(plane) - before for _ in range(8)] == [30.0] * 8
    found = plane.metrics()
    assert found["ztfm_workers"] == 2.0
    assert found["ztfm_ready"] == 1.0
    assert found["ztfm_policy_info"] == 1.0
    assert found["ztfm_build_info"] == 1.0


def _livez(plane: Plane) -> float:
    for line in plane.exposition().splitlines():
        if line.startswith("ztfm_http_requests_total{") and 'route="/livez"' in line:
            return float(line.rpartition(" ")[2])
    return 0.0


def test_a_worker_that_is_killed_is_begun_again_and_what_it_counted_stays(plane: Plane) -> None:
    before, restarts = _livez(plane), plane.metrics()["ztfm_worker_restarts_total"]
    victim = kill_one(plane)
    wait_until(lambda: plane.metrics()["ztfm_worker_restarts_total"] == restarts + 1, what="the restart to be counted")
    wait_until(plane.all_work, what="the worker to be back")
    assert victim not in [worker.pid for worker in plane.workers()]
    assert _livez(plane) >= before
    assert plane.metrics()["ztfm_policy_info"] == 1.0
    assert len(opa_of(plane.state)) == 1


def test_while_a_worker_is_away_the_other_answers(plane: Plane) -> None:
    kill_one(plane)
    for _ in range(20):
        assert plane.once("GET", "/livez", {})[0] == 200
    wait_until(plane.all_work, what="the worker to be back")


def test_the_end_of_the_parent_is_the_end_of_all(tmp_path: Path) -> None:
    state = tmp_path / "s"
    with serve(state, "--workers", "2") as (process, _):
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 3, "two workers and OPA"
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=10)
        assert alive == []


def test_over_a_unix_socket_they_answer_too(plane: Plane) -> None:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(plane.place))
        asking.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert asking.recv(100).startswith(b"HTTP/1.1 200")


def test_a_port_that_another_shares_with_its_workers_is_taken(plane: Plane, tmp_path: Path) -> None:
    command = ["serve", "--workers", "2", "--port", str(urlsplit(plane.url).port), "--state-dir", str(tmp_path / "s")]
    done = subprocess.run([*ZTFM, *command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_an_alert_has_held_every_worker_denies_until_it_is_resolved(plane: Plane) -> None:
    submitting = json.dumps({**json.loads(ASKED), "action": "gradient_submission"})
    token, now = (plane.state / "alerts-token").read_text().strip(), time.time()
    shown = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def answers() -> set[int]:
        """Ask over connections that both workers get."""
        found = set()
        for _ in range(24):
            proof = {"DPoP": plane.proof(plane.keys[0]), "Content-Type": "application/json"}
            found.add(plane.once("POST", "/v1/capabilities", proof, submitting)[0])
        return found

    def tell(told: dict[str, Any]) -> str:
        status, body = plane.once("POST", "/v1/alerts", shown, json.dumps(delivery(told)))
        assert status == 200
        return str(json.loads(body)["alerts"][0]["response"])

    assert answers() == {201}
    fires = alert(now)
    assert {tell(fires) for _ in range(8)} == {"hold"}
    wait_until(lambda: answers() == {403}, 10.0)
    assert plane.metrics()["ztfm_holds"] == 1.0
    assert tell({**fires, "status": "resolved", "endsAt": moment(now)}) == "release"
    wait_until(lambda: answers() == {201}, 10.0)


@pytest.mark.parametrize(("cpus", "workers"), [(1, 1), (2, 2), (4, 3), (8, 5), (16, 10)])
def test_as_many_workers_are_recommended_as_leave_opa_its_share(cpus: int, workers: int) -> None:
    assert recommended_workers(cpus) == workers


def test_workers_ask_the_parents_sidecar_and_publish_nothing(tmp_path: Path) -> None:
    given = Settings(state_dir=tmp_path, workers=3, bundle_dir=tmp_path / "b")
    found = settings_of_workers(given)
    assert count_of(given) == 3
    assert (found.workers, found.bundle_dir, found.opa_mode) == (1, None, "external")
    assert found.opa_socket == tmp_path / "opa" / "opa.sock"
    assert Settings(**found.model_dump(mode="json")) == found
