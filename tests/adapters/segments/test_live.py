"""The whole way: a device asks for a capability, policy decides, the router lets its packets through until it ends."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.member import Member
from tests.adapters.segments.plant import ADDRESSES, Plant, Stream, flow, names
from tests.support import Caller, ControlPlane, wait_until

SIZE = {"prompt_tokens": 8, "max_output_tokens": 8}
ROOT = Path(__file__).parents[3]


class Agent:
    """``python -m adapters.segments run`` at the router."""

    def __init__(self, plant: Plant, *words: object) -> None:
        command = [sys.executable, "-m", "adapters.segments", "run", *map(str, words), "--json"]
        self.process = plant.router.begin(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.events: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._reading = [threading.Thread(target=self._read), threading.Thread(target=self._listen)]
        for one in self._reading:
            one.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.events.extend(map(json.loads, self.process.stdout))

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(line.decode() for line in self.process.stderr)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal and return its status."""
        self.process.send_signal(number)
        status = self.process.wait(30)
        for one in self._reading:
            one.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return status


@pytest.fixture(scope="module")
def operator(own: ControlPlane) -> Caller:
    return own.enrol("operator")


@pytest.fixture(scope="module")
def router(own: ControlPlane, folder: Path) -> Path:
    """The folder of the enrolled router."""
    keys = folder / "router"
    with Member.enrol(keys, own.url, own.token(["router"], "core"), roles=["router"], segment="core"):
        return keys


@pytest.fixture(scope="module")
def agent(plant: Plant, router: Path, folder: Path) -> Iterator[Agent]:
    running = Agent(plant, router, "--state", folder / "state", "--socket", folder / "api.sock")
    wait_until(lambda: bool(running.events), 30, "the first table is applied")
    yield running
    if running.process.poll() is None:
        running.end()


@pytest.fixture
def attached(own: ControlPlane, operator: Caller) -> Iterator[Callable[[str], Caller]]:
    """Enrols a new device that is attached where a host of the plant is."""
    places: list[str] = []

    def _attached(host: str) -> Caller:
        device = own.enrol("consumer")
        stated = {"address": ADDRESSES[host], "site": "house-7", "device_class": host.partition("-")[0]}
        own.call("PUT", f"/v1/segments/attachments/{device.id}", stated, key=operator.key).expect(200)
        places.append(device.id)
        return device

    yield _attached
    for name in places:
        own.call("DELETE", f"/v1/segments/attachments/{name}", key=operator.key).expect(204)


def ask(device: Caller, audience: str = "gateway-1") -> str:
    return str(device.capability("inference", audience=audience, inference=SIZE).expect(201)["access_token"])


def opened(plant: Plant, source: str, destination: str) -> None:
    """Wait until a way is open."""
    way = [flow(source, destination)]
    wait_until(lambda: bool(plant.reached(way)), 10, f"{source} reaches {destination}")


def test_a_capability_opens_one_way_and_nothing_else(
    plant: Plant, agent: Agent, attached: Callable[[str], Caller]
) -> None:
    assert plant.reached(plant.everything()) == set()
    ask(attached("camera"))
    attached("sensor")
    opened(plant, "camera", "gateway")
    assert names(plant.reached(plant.everything())) == ["camera -> gateway:8443"]
    assert agent.events[-1]["flows"] == 1


@pytest.mark.parametrize("how", ["quarantined", "revoked"])
def test_what_the_control_plane_ends_is_cut_within_a_second_while_it_runs(
    plant: Plant, agent: Agent, own: ControlPlane, operator: Caller, attached: Callable[[str], Caller], how: str
) -> None:
    ask(attached("camera-2"))
    opened(plant, "camera-2", "gateway")
    took = []
    with Stream(plant, "camera-2", "gateway") as other:
        for host in ("camera", "sensor"):
            device = attached(host)
            token = ask(device)
            opened(plant, host, "gateway")
            with Stream(plant, host, "gateway") as stream:
                assert stream.flows()
                began = time.monotonic()
                if how == "quarantined":
                    changed = {"status": "quarantined", "reason": "Odd."}
                    operator.post(f"/v1/devices/{device.id}/status", changed).expect(200)
                else:
                    headers = {"Content-Type": "application/x-www-form-urlencoded"}
                    body = f"token={token}".encode()
                    own.call("POST", "/oauth/revoke", body=body, key=device.key, headers=headers).expect(200)
                took.append(stream.silent_after(began))
                arrived = stream.arrived
                assert other.flows()
                assert stream.arrived == arrived
            assert plant.reached([flow(host, "gateway")]) == set()
            if took[-1] < 1.0:
                break
    assert min(took) < 1.0, took
    assert agent.process.poll() is None


def test_rules_that_somebody_else_takes_away_are_put_back(
    plant: Plant, agent: Agent, attached: Callable[[str], Caller]
) -> None:
    ask(attached("camera"))
    opened(plant, "camera", "gateway")
    wait_until(lambda: agent.events[-1]["flows"] == 1)
    seen = len(agent.events)
    plant.router.run("nft", "flush", "ruleset")
    wait_until(lambda: "disturbed" in {event["name"] for event in agent.events[seen:]}, 10, "the flush is noticed")
    assert names(plant.reached(plant.everything())) == ["camera -> gateway:8443"]


def test_a_signing_key_that_is_withdrawn_closes_what_it_signed(
    plant: Plant, agent: Agent, own: ControlPlane, attached: Callable[[str], Caller]
) -> None:
    device = attached("camera")
    ask(device)
    opened(plant, "camera", "gateway")
    withdrawn = own.services.capabilities.keys.ring.current().kid
    administrator = own.enrol("administrator")
    administrator.post(f"/v1/keys/{withdrawn}/withdraw", {"reason": "Lost."}).expect(200)
    wait_until(lambda: plant.reached(plant.everything()) == set(), 10, "nothing passes")
    ask(device)
    opened(plant, "camera", "gateway")


def test_an_agent_that_starts_without_the_control_plane_keeps_what_was_in_force_and_opens_nothing_more(
    plant: Plant, agent: Agent, router: Path, folder: Path, attached: Callable[[str], Caller]
) -> None:
    ask(attached("camera"))
    opened(plant, "camera", "gateway")
    wait_until(lambda: agent.events[-1]["flows"] == 1, 10, "it is read back and kept")
    with Stream(plant, "camera", "gateway") as stream:
        assert agent.end() == 0
        assert stream.flows(), "an agent that ends leaves its rules"
        for was_rebooted in (False, True):
            if was_rebooted:
                plant.router.run("nft", "flush", "ruleset")
            alone = Agent(plant, router, "--state", folder / "state", "--socket", folder / "nobody.sock")
            try:
                wait_until(partial(bool, alone.said), 30, "it says that it has no table")
                assert stream.flows()
                assert names(plant.reached(plant.everything())) == ["camera -> gateway:8443"]
            finally:
                assert alone.end(signal.SIGKILL) == -signal.SIGKILL
        assert stream.flows()
