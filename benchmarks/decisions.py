"""Decisions over HTTP: the control plane against raw OPA that answers the same policy and the same inputs.

``python -m benchmarks.decisions --json``. The control plane looks the device up, gathers the facts, asks its OPA
sidecar, mints a capability, records the decision durably and counts it. Each device proves its key by its TLS
connection (RFC 8705); with ``--caller proof`` by a DPoP proof in each request instead (RFC 9449), over plain TCP.
Raw OPA only evaluates, one request for each decision, without authorisation of its API, or, with ``--guarded``,
behind a token and the sidecar's own ``system.authz``. Both are driven from this process, in turn, by as many
connections of the same kind, which are made beforehand: where devices come over mutual TLS, raw OPA is asked over
mutual TLS by the same certificates, so that neither side has the load generator's encryption to itself. ``--plain``
asks raw OPA over plain TCP all the same.

``--rate 300`` sends so many requests a second to either side instead, whether or not earlier ones are answered, and
tells what the control plane adds to the latency: of the median at most 2 ms, of the 99th percentile at most 10.
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
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

import aiohttp
import orjson
import psutil
import uvloop

from benchmarks.household import DIGEST, MODEL, ROUND, Served, certified, median, populate, served
from benchmarks.load import Load, drive, encode
from benchmarks.pace import drive_at
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
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
WARM_UP = 1024
"""Requests to either side before anything is measured."""

CLOSED, RATED = 8000, 3000
"""Requests in each run, as fast as they are answered and at a rate."""

LOAD = "load"

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
        cpu_us_by: the same by process.
        load_cpu_us: processor time of the load generator for each request, microseconds.
    """

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    cpu_us_by: dict[str, float]
    load_cpu_us: float

    @classmethod
    def of(cls, load: Load, used: "Used") -> "Figures":
        """The figures of a load during which so much processor time was used."""
        p50, p99 = load.percentile(0.5), load.percentile(0.99)
        each = {name: round(seconds / load.requests * 1e6, 1) for name, seconds in used.seconds.items()}
        own = each.pop(LOAD)
        return cls(load.rate, p50 * 1e3, p99 * 1e3, round(sum(each.values()), 1), each, own)


@dataclass(frozen=True)
class Used:
    """Processor seconds by process, and those of the load generator as ``load``."""

    seconds: dict[str, float]

    @classmethod
    def so_far(cls, side: psutil.Process) -> "Used":
        """What a side's processes and this one have used since they began."""
        processes = {_role(one, side): one for one in (side, *side.children())} | {LOAD: psutil.Process()}
        times = {name: one.cpu_times() for name, one in processes.items()}
        return cls({name: time.user + time.system for name, time in times.items()})

    def since(self, before: "Used") -> "Used":
        """What was used since ``before``."""
        return Used({name: seconds - before.seconds.get(name, 0.0) for name, seconds in self.seconds.items()})


def _role(process: psutil.Process, side: psutil.Process) -> str:
    name = process.name()
    if name.startswith("opa"):
        return "opa"
    return "control plane" if process.pid == side.pid else f"worker {process.pid}"


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
    """How much load.

    Attributes:
        requests: to either side in each run.
        connections: that they go over.
        devices: that ask.
        rate: requests a second; 0 for as many as are answered.
    """

    requests: int
    connections: int
    devices: int
    rate: float = 0.0

    async def drive(self, port: int, encoded: Sequence[bytes], tls: Sequence[ssl.SSLContext]) -> Load:
        """Put load on a port of this machine."""
        if self.rate > 0.0:
            return await drive_at(self.rate, "127.0.0.1", port, encoded, self.connections, tls)
        return await drive("127.0.0.1", port, encoded, self.connections, tls)


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

    @property
    def process(self) -> psutil.Process:
        """The control plane's first process."""
        return psutil.Process(self.plane.pid)

    async def put_load(self, size: Size) -> Load:
        """Ask for ``size.requests`` capabilities."""
        base = self.plane.tls_url if self.tls else self.plane.url
        port = int(base.rpartition(":")[2])
        if self.tls:
            encoded = [encode("/v1/capabilities", ASKED, {})] * size.requests
        else:
            encoded = [encode("/v1/capabilities", ASKED, {"DPoP": proof}) for proof in self._proofs(size.requests)]
        load = await size.drive(port, encoded, self.tls)
        _require(load, 201)
        return load

    def _proofs(self, count: int) -> Iterator[str]:
        url = f"{self.plane.url}/v1/capabilities"
        return (make_proof(key, method="POST", url=url, now=time.time()) for key in islice(cycle(self.keys), count))


@dataclass(frozen=True)
class Alone:
    """An OPA without a control plane.

    Attributes:
        port: on which it listens.
        process: that runs it.
        headers: that it wants.
        tls: how connections to it are made; none for plain ones.
    """

    port: int
    process: psutil.Process
    headers: dict[str, str]
    tls: Sequence[ssl.SSLContext]

    async def put_load(self, inputs: Sequence[bytes], size: Size) -> Load:
        """Ask it ``size.requests`` times."""
        bodies = (b'{"input":' + facts + b"}" for facts in islice(cycle(inputs), size.requests))
        load = await size.drive(self.port, [encode(OPA_PATH, body, self.headers) for body in bodies], self.tls)
        _require(load, 200)
        return load


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Attributes:
        caller: how devices prove their keys.
        guarded: raw OPA wants a token and authorises each request.
        plain: raw OPA is asked over plain TCP, however devices come.
        workers: processes of the control plane that serve; 0 for as many as the cores bear.
    """

    caller: Caller = "tls"
    guarded: bool = False
    plain: bool = False
    workers: int = 0


async def measure(runs: int, size: Size, setting: Setting = Setting()) -> tuple[list[Run], int]:
    """Measure ``runs`` runs; returns them, and how many workers the control plane had."""
    with tempfile.TemporaryDirectory(prefix="ztfm-bench-") as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        keys = await populate(state, size.devices)
        is_tls = setting.caller == "tls"
        async with served(state, tls=is_tls, workers=setting.workers) as plane:
            contexts = [await certified(plane, key) for key in keys] if is_tls else []
            callers = Callers(plane, keys, contexts)
            async with _raw_opa(Path(folder), plane, setting, contexts) as alone:
                warm_up = replace(size, requests=max(size.devices, WARM_UP), rate=0.0)
                await callers.put_load(warm_up)
                inputs = _recorded_facts(state)
                await alone.put_load(inputs, warm_up)
                return [await _run(callers, alone, inputs, size) for _ in range(runs)], plane.workers


async def _run(callers: Callers, alone: Alone, inputs: Sequence[bytes], size: Size) -> Run:
    before = Used.so_far(alone.process)
    raw = await alone.put_load(inputs, size)
    raw_figures = Figures.of(raw, Used.so_far(alone.process).since(before))
    before = Used.so_far(callers.process)
    control = await callers.put_load(size)
    return Run(Figures.of(control, Used.so_far(callers.process).since(before)), raw_figures)


def _require(load: Load, status: int) -> None:
    if load.statuses != {status: load.requests}:
        raise RuntimeError(f"every answer should be {status}; they were {load.statuses}")


def _recorded_facts(state: Path) -> list[bytes]:
    """The very inputs that the control plane's OPA decided on, from its own records."""
    with closing(sqlite3.connect(state / "ztfm.db")) as database:
        records = database.execute("SELECT document FROM decisions WHERE action = 'model_access'").fetchall()
    return [orjson.dumps(orjson.loads(record)["facts"]) for (record,) in records]


@asynccontextmanager
async def _raw_opa(
    folder: Path, plane: Served, setting: Setting, tls: Sequence[ssl.SSLContext]
) -> AsyncIterator[Alone]:
    """OPA alone with the same bundle, on a free TCP port, once it decides."""
    tls = [] if setting.plain else tls
    opa, bundle = locate_opa(os.environ), folder / "raw.tar.gz"
    build_bundle(opa, product_folder("policies"), bundle)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = ["run", "--server", "--addr", f"127.0.0.1:{port}", "--optimize-store-for-read-speed"]
    command += ["--skip-version-check", "--log-level=error", "--set", f"bundles.ztfm.resource={bundle.as_uri()}"]
    environment, headers = dict(os.environ), {}
    if tls:
        (folder / "raw-authority.pem").write_text(plane.authority)
        command += [f"--tls-cert-file={plane.certificate}", f"--tls-private-key-file={plane.key}"]
        command += [f"--tls-ca-cert-file={folder / 'raw-authority.pem'}", "--min-tls-version=1.3"]
    if setting.guarded:
        environment["ZTFM_OPA_TOKEN"] = secrets.token_urlsafe(32)
        headers["Authorization"] = f"Bearer {environment['ZTFM_OPA_TOKEN']}"
        command += ["--authorization=basic", "--authentication=token", str(product_folder("opa") / "authz.rego")]
    process = await asyncio.create_subprocess_exec(
        str(opa.path), *command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await _await_answer(port, headers, tls)
        yield Alone(port, psutil.Process(process.pid), headers, tls)
    finally:
        process.terminate()
        await process.wait()


async def _await_answer(port: int, headers: dict[str, str], tls: Sequence[ssl.SSLContext]) -> None:
    deadline = time.monotonic() + START_SECONDS
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{OPA_PATH}"
    async with aiohttp.ClientSession(headers=headers) as session:
        while True:
            with suppress(aiohttp.ClientError):
                async with session.post(url, json={"input": {}}, ssl=tls[0] if tls else True) as answer:
                    if "result" in await answer.json():
                        return
            if time.monotonic() > deadline:
                raise RuntimeError("raw OPA does not answer with a decision")
            await asyncio.sleep(0.05)


def summary(runs: Sequence[Run], workers: int) -> dict[str, Any]:
    """The medians over all runs, the runs themselves, and what they were made with."""
    return {
        "ratio_rps": round(median([run.ratio_rps for run in runs]), 3),
        "ratio_p99": round(median([run.ratio_p99 for run in runs]), 3),
        "workers": workers,
        "runs": [{"ratio_rps": run.ratio_rps, "ratio_p99": run.ratio_p99, **asdict(run)} for run in runs],
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "opa": ".".join(map(str, locate_opa(os.environ).version)),
    }


def added(runs: Sequence[Run]) -> dict[str, float]:
    """The medians over all runs of either side's latencies, and of what the control plane adds, milliseconds."""
    found: dict[str, float] = {}
    for share in ("p50_ms", "p99_ms"):
        pairs = [(getattr(run.control_plane, share), getattr(run.raw_opa, share)) for run in runs]
        found[f"control_plane_{share}"] = round(median([ours for ours, _ in pairs]), 3)
        found[f"raw_opa_{share}"] = round(median([theirs for _, theirs in pairs]), 3)
        found[f"added_{share}"] = round(median([ours - theirs for ours, theirs in pairs]), 3)
    return found


def _line(side: dict[str, Any]) -> str:
    shares = ", ".join(f"{name} {each:.0f}" for name, each in side["cpu_us_by"].items())
    figures = f"{side['rps']:7.0f}/s p99 {side['p99_ms']:6.1f} ms cpu {side['cpu_us']:4.0f} us ({shares})"
    return f"{figures} and the load's own {side['load_cpu_us']:4.0f}"


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python -m benchmarks.decisions --rate 300 --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=3, help="runs; their medians are quoted")
    parser.add_argument("--requests", type=int, help=f"to either side in each run ({CLOSED}; {RATED} at a rate)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--devices", type=int, default=64, help="devices that ask; each has a budget a minute")
    parser.add_argument("--caller", choices=("tls", "proof"), default="tls", help="how devices prove their keys")
    parser.add_argument("--workers", type=int, default=0, help="of the control plane; 0 for as many as the cores bear")
    parser.add_argument("--plain", action="store_true", help="ask raw OPA over plain TCP, however devices come")
    parser.add_argument("--guarded", action="store_true", help="raw OPA wants a token and authorises each request")
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0 for as many as are answered")
    given = parser.parse_args()
    requests = given.requests or (RATED if given.rate else CLOSED)
    size = Size(requests, given.connections, given.devices, given.rate)
    setting = Setting(given.caller, given.guarded, given.plain, given.workers)
    runs, workers = uvloop.run(measure(given.runs, size, setting))
    found = summary(runs, workers) | ({"rate": given.rate, **added(runs)} if given.rate else {})
    found |= {"caller": given.caller, "raw_opa_over": "tls" if given.caller == "tls" and not given.plain else "tcp"}
    if given.json:
        print(json.dumps(found))
        return
    for run in found["runs"]:
        print(f"control plane {_line(run['control_plane'])}")
        print(f"raw OPA       {_line(run['raw_opa'])}   ratios {run['ratio_rps']:.2f} and {run['ratio_p99']:.2f}")
    if given.rate:
        print(f"at {given.rate:g}/s added: median {found['added_p50_ms']} ms, p99 {found['added_p99_ms']} ms")
    print(f"{found['workers']} workers; medians: ratio_rps {found['ratio_rps']}, ratio_p99 {found['ratio_p99']}")


if __name__ == "__main__":
    main()
