"""Decisions over HTTP: the control plane against raw OPA that answers the same policy and the same inputs.

``python -m benchmarks.decisions --json``. The control plane verifies a key proof, gathers the facts, asks its OPA
sidecar, mints a capability, records the decision and counts it; raw OPA only evaluates, one HTTP request for each
decision, without authorisation of its API. Both are driven over TCP from this process, in turn, by as many connections.
"""

import argparse
import asyncio
import json
import os
import platform
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil
import uvloop

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


async def measure(runs: int, size: Size) -> list[Run]:
    """Measure ``runs`` runs."""
    with tempfile.TemporaryDirectory(prefix="ztfm-bench-") as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        keys = await populate(state, size.devices)
        async with served(state) as plane, _raw_opa(Path(folder)) as (port, raw):
            await _put_load(plane, keys, size.devices, size.connections)
            inputs = _recorded_facts(state)
            await drive("127.0.0.1", port, _questions(inputs, size.devices), size.connections)
            return [await _run(plane, raw, port, keys, inputs, size) for _ in range(runs)]


async def _run(
    plane: Served, raw: psutil.Process, port: int, keys: Sequence[DeviceKey], inputs: Sequence[bytes], size: Size
) -> Run:
    before = _cpu_seconds(raw)
    alone = await drive("127.0.0.1", port, _questions(inputs, size.requests), size.connections)
    _require(alone, 200)
    raw_figures = Figures.of(alone, _cpu_seconds(raw) - before)
    process = psutil.Process(plane.pid)
    before = _cpu_seconds(process)
    control = await _put_load(plane, keys, size.requests, size.connections)
    return Run(Figures.of(control, _cpu_seconds(process) - before), raw_figures)


def _cpu_seconds(process: psutil.Process) -> float:
    """Processor time of a process and its children."""
    times = [one.cpu_times() for one in (process, *process.children())]
    return float(sum(time.user + time.system for time in times))


async def _put_load(plane: Served, keys: Sequence[DeviceKey], requests: int, connections: int) -> Load:
    host, port = plane.url.removeprefix("http://").split(":")
    url = f"{plane.url}/v1/capabilities"
    proofs = (make_proof(key, method="POST", url=url, now=time.time()) for key in islice(cycle(keys), requests))
    load = await drive(
        host, int(port), [encode("/v1/capabilities", ASKED, {"DPoP": proof}) for proof in proofs], connections
    )
    _require(load, 201)
    return load


def _require(load: Load, status: int) -> None:
    if load.statuses != {status: load.requests}:
        raise RuntimeError(f"every answer should be {status}; they were {load.statuses}")


def _questions(inputs: Sequence[bytes], count: int) -> list[bytes]:
    return [encode(OPA_PATH, b'{"input":' + facts + b"}", {}) for facts in islice(cycle(inputs), count)]


def _recorded_facts(state: Path) -> list[bytes]:
    """The very inputs that the control plane's OPA decided on, from its own records."""
    with closing(sqlite3.connect(state / "ztfm.db")) as database:
        records = database.execute("SELECT document FROM decisions WHERE action = 'model_access'").fetchall()
    return [orjson.dumps(orjson.loads(record)["facts"]) for (record,) in records]


@asynccontextmanager
async def _raw_opa(folder: Path) -> AsyncIterator[tuple[int, psutil.Process]]:
    """OPA alone with the same bundle, on a free TCP port; yields port and process once it decides."""
    opa, bundle = locate_opa(os.environ), folder / "raw.tar.gz"
    build_bundle(opa, product_folder("policies"), bundle)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        "run",
        "--server",
        "--addr",
        f"127.0.0.1:{port}",
        "--optimize-store-for-read-speed",
        "--disable-telemetry",
    ]
    process = await asyncio.create_subprocess_exec(
        opa.path, *command, "--skip-version-check", "--log-level=error", "--bundle", bundle, stdout=subprocess.DEVNULL
    )
    try:
        await _await_answer(port)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _await_answer(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.post(f"http://127.0.0.1:{port}{OPA_PATH}", json={"input": {}}) as answer:
                    if "result" in await answer.json():
                        return
            except aiohttp.ClientError:
                pass
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
    parser.add_argument("--devices", type=int, default=800, help="devices that ask; more keep each within its budget")
    given = parser.parse_args()
    found = summary(uvloop.run(measure(given.runs, Size(given.requests, given.connections, given.devices))))
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
