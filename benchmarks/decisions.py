"""Decisions over HTTP: the control plane against raw OPA that answers the same policy and the same inputs.

``python -m benchmarks.decisions --json``. The control plane looks the device up, gathers the facts, asks its OPA
sidecar, mints a capability, records the decision durably and counts it. Each device proves its key by its TLS
connection (RFC 8705); with ``--caller proof`` by a DPoP proof in each request instead (RFC 9449), over plain TCP.
Raw OPA only evaluates, one plain HTTP request for each decision, without authorisation of its API, or, with
``--guarded``, behind a token and the sidecar's own ``system.authz``. Both are driven from this process, in turn, by
as many connections, which are made beforehand.
"""

import argparse
import asyncio
import json
import os
import platform
import secrets
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

import aiohttp
import orjson
import psutil
import uvloop

from adapters.mutual import mutual_tls
from adapters.plane import ControlPlane
from benchmarks.household import DIGEST, MODEL, ROUND, Served, median, populate, served
from benchmarks.load import Load, drive, encode
from controlplane.capabilities.keys import DeviceKey
from controlplane.capabilities.proof import make_proof
from controlplane.sidecar import build_bundle, locate_opa
from controlplane.sidecar.folders import product_folder

ASKED = orjson.dumps(
    {
        "action": "model_access",
        "resource": {"type": "model", "id": MODEL, "properties": {"digest": DIGEST}},
        "audience": "fl-server",
        "context": {"purpose": "training", "round_id": ROUND},
    }
)
OPA_PATH = "/v1/data/ztfm/model_access/decision"
START_SECONDS = 15.0

Caller = Literal["tls", "proof"]
"""How devices prove their keys: by their TLS connections, or by a proof in each request."""


@dataclass(frozen=True)
class Figures:
    """One side of one run.

    Attributes:
        rps: requests a second.
        p50_ms: median latency, milliseconds.
        p99_ms: latency below which 99 % of the requests lie, milliseconds.
        cpu_us: processor time for each request, all processes of that side together, microseconds.
    """

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float

    @classmethod
    def of(cls, load: Load, cpu_seconds: float) -> "Figures":
        """The figures of a load that took ``cpu_seconds`` of processor time."""
        p50, p99 = load.percentile(0.5), load.percentile(0.99)
        return cls(load.rate, p50 * 1e3, p99 * 1e3, cpu_seconds / load.requests * 1e6)


@dataclass(frozen=True)
class Run:
    """One run: both sides, one after the other."""

    control_plane: Figures
    raw_opa: Figures

    @property
    def ratio_rps(self) -> float:
        """The control plane's requests a second over raw OPA's."""
        return self.control_plane.rps / self.raw_opa.rps

    @property
    def ratio_p99(self) -> float:
        """The control plane's 99th percentile latency over raw OPA's."""
        return self.control_plane.p99_ms / self.raw_opa.p99_ms


@dataclass(frozen=True)
class Size:
    """How much load: requests to either side in each run, connections, and devices that ask."""

    requests: int
    connections: int
    devices: int


@dataclass(frozen=True)
class Callers:
    """The devices that ask, and how each proves its key.

    Attributes:
        plane: whom they ask.
        keys: their keys.
        tls: of each key, how its connections are made; none where each request carries a proof.
    """

    plane: Served
    keys: Sequence[DeviceKey]
    tls: Sequence[ssl.SSLContext]

    async def put_load(self, requests: int, connections: int) -> Load:
        """Ask for ``requests`` capabilities."""
        base = self.plane.tls_url if self.tls else self.plane.url
        port = int(base.rpartition(":")[2])
        if self.tls:
            encoded = [encode("/v1/capabilities", ASKED, {})] * requests
        else:
            encoded = [encode("/v1/capabilities", ASKED, {"DPoP": proof}) for proof in self._proofs(requests)]
        load = await drive("127.0.0.1", port, encoded, connections, self.tls)
        _require(load, 201)
        return load

    def _proofs(self, count: int) -> Iterator[str]:
        url = f"{self.plane.url}/v1/capabilities"
        return (make_proof(key, method="POST", url=url, now=time.time()) for key in islice(cycle(self.keys), count))


@dataclass(frozen=True)
class Alone:
    """An OPA without a control plane: its port, its process, and the headers that it wants."""

    port: int
    process: psutil.Process
    headers: dict[str, str]

    async def put_load(self, inputs: Sequence[bytes], requests: int, connections: int) -> Load:
        """Ask it ``requests`` times."""
        bodies = (b'{"input":' + facts + b"}" for facts in islice(cycle(inputs), requests))
        load = await drive(
            "127.0.0.1", self.port, [encode(OPA_PATH, body, self.headers) for body in bodies], connections
        )
        _require(load, 200)
        return load


async def measure(runs: int, size: Size, *, caller: Caller = "tls", guarded: bool = False) -> list[Run]:
    """Measure ``runs`` runs; raw OPA's API is open, or guarded as the sidecar's is."""
    with tempfile.TemporaryDirectory(prefix="ztfm-bench-") as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        keys = await populate(state, size.devices)
        async with served(state, tls=caller == "tls") as plane, _raw_opa(Path(folder), guarded) as alone:
            contexts = [await _certified(plane, key) for key in keys] if caller == "tls" else []
            callers = Callers(plane, keys, contexts)
            await callers.put_load(size.devices, size.connections)
            inputs = _recorded_facts(state)
            await alone.put_load(inputs, size.devices, size.connections)
            return [await _run(callers, alone, inputs, size) for _ in range(runs)]


async def _certified(plane: Served, key: DeviceKey) -> ssl.SSLContext:
    async with ControlPlane(plane.url, key) as asking:
        return mutual_tls(key, await asking.certificate())


async def _run(callers: Callers, alone: Alone, inputs: Sequence[bytes], size: Size) -> Run:
    before = _cpu_seconds(alone.process)
    raw = await alone.put_load(inputs, size.requests, size.connections)
    raw_figures = Figures.of(raw, _cpu_seconds(alone.process) - before)
    process = psutil.Process(callers.plane.pid)
    before = _cpu_seconds(process)
    control = await callers.put_load(size.requests, size.connections)
    return Run(Figures.of(control, _cpu_seconds(process) - before), raw_figures)


def _cpu_seconds(process: psutil.Process) -> float:
    """Processor time of a process and its children."""
    times = [one.cpu_times() for one in (process, *process.children())]
    return float(sum(time.user + time.system for time in times))


def _require(load: Load, status: int) -> None:
    if load.statuses != {status: load.requests}:
        raise RuntimeError(f"every answer should be {status}; they were {load.statuses}")


def _recorded_facts(state: Path) -> list[bytes]:
    """The very inputs that the control plane's OPA decided on, from its own records."""
    with closing(sqlite3.connect(state / "ztfm.db")) as database:
        records = database.execute("SELECT document FROM decisions WHERE action = 'model_access'").fetchall()
    return [orjson.dumps(orjson.loads(record)["facts"]) for (record,) in records]


@asynccontextmanager
async def _raw_opa(folder: Path, guarded: bool) -> AsyncIterator[Alone]:
    """OPA alone with the same bundle, on a free TCP port, once it decides."""
    opa, bundle = locate_opa(os.environ), folder / "raw.tar.gz"
    build_bundle(opa, product_folder("policies"), bundle)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = ["run", "--server", "--addr", f"127.0.0.1:{port}", "--optimize-store-for-read-speed"]
    command += ["--skip-version-check", "--log-level=error", "--set", f"bundles.ztfm.resource={bundle.as_uri()}"]
    environment, headers = dict(os.environ), {}
    if guarded:
        environment["ZTFM_OPA_TOKEN"] = secrets.token_urlsafe(32)
        headers["Authorization"] = f"Bearer {environment['ZTFM_OPA_TOKEN']}"
        command += ["--authentication=token", "--authorization=basic", str(product_folder("opa") / "authz.rego")]
    process = await asyncio.create_subprocess_exec(
        str(opa.path), *command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await _await_answer(port, headers)
        yield Alone(port, psutil.Process(process.pid), headers)
    finally:
        process.terminate()
        await process.wait()


async def _await_answer(port: int, headers: dict[str, str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    url = f"http://127.0.0.1:{port}{OPA_PATH}"
    async with aiohttp.ClientSession(headers=headers) as session:
        while True:
            with suppress(aiohttp.ClientError):
                async with session.post(url, json={"input": {}}) as answer:
                    if "result" in await answer.json():
                        return
            if time.monotonic() > deadline:
                raise RuntimeError("raw OPA does not answer with a decision")
            await asyncio.sleep(0.05)


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """The medians over all runs, and the runs themselves."""
    return {
        "ratio_rps": round(median([run.ratio_rps for run in runs]), 3),
        "ratio_p99": round(median([run.ratio_p99 for run in runs]), 3),
        "runs": [{"ratio_rps": run.ratio_rps, "ratio_p99": run.ratio_p99, **asdict(run)} for run in runs],
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "opa": ".".join(map(str, locate_opa(os.environ).version)),
    }


def _line(side: dict[str, float]) -> str:
    return f"{side['rps']:7.0f}/s p99 {side['p99_ms']:6.1f} ms cpu {side['cpu_us']:4.0f} us"


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=3, help="runs; their medians are quoted")
    parser.add_argument("--requests", type=int, default=8000, help="requests to either side in each run")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--devices", type=int, default=64, help="devices that ask; each has a budget a minute")
    parser.add_argument("--caller", choices=("tls", "proof"), default="tls", help="how devices prove their keys")
    parser.add_argument("--guarded", action="store_true", help="raw OPA wants a token and authorises each request")
    given = parser.parse_args()
    size = Size(given.requests, given.connections, given.devices)
    found = summary(uvloop.run(measure(given.runs, size, caller=given.caller, guarded=given.guarded)))
    found["caller"] = given.caller
    if given.json:
        print(json.dumps(found))
        return
    for run in found["runs"]:
        plane, raw = run["control_plane"], run["raw_opa"]
        sides = (
            f"{side['rps']:7.0f}/s p99 {side['p99_ms']:6.1f} ms cpu {side['cpu_us']:4.0f} us" for side in (plane, raw)
        )
        print("control plane {}   raw OPA {}   ".format(*sides), end="")
        print(f"ratios {run['ratio_rps']:.2f} and {run['ratio_p99']:.2f}")
    print(f"medians: ratio_rps {found['ratio_rps']}, ratio_p99 {found['ratio_p99']}")


if __name__ == "__main__":
    main()
