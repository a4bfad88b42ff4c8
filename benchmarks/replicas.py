"""What replicas cost that share limits: one and two on one PostgreSQL, with ``ZTFM_SHARED_LIMITS`` off and on.

``python -m benchmarks.replicas --json``. Each replica is a ``ztfm serve`` with its own OPA; PostgreSQL is one of this
machine's, with its usual care for what it commits (fsync). Devices prove their keys in each request (RFC 9449), ask for
a capability, and are recorded; requests are dealt to the replicas in turn, without a load balancer between. All of it,
with what puts the load, shares this machine's processors: on few of them the figures show what sharing **costs**, in
decisions a second and in processor time of each, and not how replicas scale on machines of their own.
"""

import argparse
import asyncio
import http.client
import json
import os
import platform
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import uvloop
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.household import MODEL, Enrolled, Served, enrol, served
from benchmarks.load import Load, drive, encode
from benchmarks.pace import drive_at
from benchmarks.postgres import postgres
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from controlplane.storage import open_store

PUBLIC = "http://127.0.0.1:8181"
PATH = "/v1/capabilities"
ASKED = json.dumps(
    {
        "action": "inference",
        "resource": {"type": "model", "id": MODEL},
        "audience": "gateway-1",
        "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}},
    }
).encode()
KEYS = {
    "ZTFM_SEALING_KEY_FILE": "sealing.key",
    "ZTFM_POLICY_KEY_FILE": "policy-signing.key",
    "ZTFM_ORGANISATION_KEY_FILE": "organisation.key",
    "ZTFM_LOG_KEY_FILE": "log-signing.key",
    "ZTFM_AUTHORITY_FILE": "authority.pem",
}
WAYS = ((1, "machine"), (1, "store"), (2, "machine"), (2, "store"))


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        requests: of each run as fast as they are answered.
        rate: requests a second of each run at a rate.
        seconds: that a run at a rate lasts.
        connections: in all.
        devices: that ask.
        runs: of each kind; medians are quoted.
    """

    requests: int = 4000
    rate: float = 150.0
    seconds: float = 5.0
    connections: int = 32
    devices: int = 64
    runs: int = 3


@dataclass(frozen=True)
class Way:
    """What was measured in one way to run.

    Attributes:
        replicas: how many.
        limits: where they were counted, ``machine`` or ``store``.
        rps: decisions a second as fast as they are answered.
        p99_ms: of these, milliseconds.
        rated_p50_ms: at the rate.
        rated_p99_ms: the same.
        cpu_us: processor time of a decision: of replicas, their OPAs and PostgreSQL, microseconds, as fast as can be.
        database_cpu_us: PostgreSQL's share of it.
    """

    replicas: int
    limits: str
    rps: float
    p99_ms: float
    rated_p50_ms: float
    rated_p99_ms: float
    cpu_us: float
    database_cpu_us: float


async def measure(size: Size, ways: Sequence[tuple[int, str]] = WAYS) -> list[Way]:
    """Return what each way to run comes to, one after the other on one PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="ztfm-bench-") as name, postgres() as (url, pid):
        return [
            await _way(Path(tempfile.mkdtemp(dir=name)), url, pid, size, replicas, limits) for replicas, limits in ways
        ]


async def _way(folder: Path, url: str, pid: int, size: Size, count: int, limits: str) -> Way:
    database = await _new_database(url, f"ztfm_{secrets.token_hex(4)}")
    store = await open_store(database)
    keys = await enrol(store, [Enrolled("consumer", "homes")] * size.devices)
    await store.close()
    async with _replicas(folder, database, count, limits) as planes:
        await _closed(planes, keys, max(512, size.devices), size.connections)
        at_rate = [await _rated(planes, keys, size) for _ in range(size.runs)]
        before, theirs = _used([one.pid for one in planes]), _used([pid])
        closed = [await _closed(planes, keys, size.requests, size.connections) for _ in range(size.runs)]
        made = size.runs * size.requests
        theirs = (_used([pid]) - theirs) / made
        ours = (_used([one.pid for one in planes]) - before) / made
    return Way(
        replicas=count,
        limits=limits,
        rps=round(median(one.rate for one in closed), 1),
        p99_ms=round(1e3 * median(one.percentile(0.99) for one in closed), 2),
        rated_p50_ms=round(1e3 * median(one.percentile(0.5) for one in at_rate), 2),
        rated_p99_ms=round(1e3 * median(one.percentile(0.99) for one in at_rate), 2),
        cpu_us=round(1e6 * (ours + theirs), 1),
        database_cpu_us=round(1e6 * theirs, 1),
    )


async def _new_database(url: str, name: str) -> str:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@asynccontextmanager
async def _replicas(folder: Path, database: str, count: int, limits: str) -> AsyncIterator[list[Served]]:
    shared = {name: str(folder / file) for name, file in KEYS.items()}
    shared |= {"ZTFM_DATABASE_URL": database, "ZTFM_PUBLIC_URL": PUBLIC, "ZTFM_SHARED_LIMITS": limits}
    # The first one builds the policies, and they share this machine's processors.
    shared |= {"ZTFM_START_SECONDS": "120"}
    async with AsyncExitStack() as running:
        found = []
        for number in range(count):
            state = folder / f"replica-{number}"
            state.mkdir(mode=0o700)
            found.append(await running.enter_async_context(served(state, settings=shared)))
        yield found


def _requests(keys: Sequence[DeviceKey], count: int) -> list[bytes]:
    now = time.time()
    return [
        encode(PATH, ASKED, {"DPoP": make_proof(key, method="POST", url=PUBLIC + PATH, now=now)})
        for key in islice(cycle(keys), count)
    ]


async def _closed(planes: Sequence[Served], keys: Sequence[DeviceKey], count: int, connections: int) -> Load:
    requests, each = _requests(keys, count), connections // len(planes)
    return _granted(
        await asyncio.gather(
            *(drive(*_place(plane), requests[number :: len(planes)], each) for number, plane in enumerate(planes))
        )
    )


async def _rated(planes: Sequence[Served], keys: Sequence[DeviceKey], size: Size) -> Load:
    requests = _requests(keys, int(size.rate * size.seconds))
    return _granted(
        await asyncio.gather(
            *(
                drive_at(
                    size.rate / len(planes),
                    *_place(plane),
                    requests[number :: len(planes)],
                    size.connections // len(planes),
                )
                for number, plane in enumerate(planes)
            )
        )
    )


def _place(plane: Served) -> tuple[str, int]:
    """Return where a replica listens; what it prints is the URL of all of them together."""
    for one in psutil.Process(plane.pid).net_connections("tcp"):
        if one.status == psutil.CONN_LISTEN and _is_alive(one.laddr.port):
            return "127.0.0.1", int(one.laddr.port)
    raise RuntimeError("a replica listens nowhere")


def _is_alive(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200


def _granted(loads: Sequence[Load]) -> Load:
    """Return several loads as one.

    Raises:
        RuntimeError: something else than a capability was the answer.
    """
    statuses: dict[int, int] = {}
    for one in loads:
        for status, times in one.statuses.items():
            statuses[status] = statuses.get(status, 0) + times
    if set(statuses) != {201}:
        raise RuntimeError(f"every answer should be 201; they were {statuses}")
    latencies = sorted(latency for one in loads for latency in one.latencies)
    return Load(len(latencies), max(one.seconds for one in loads), latencies, statuses)


def _used(pids: Sequence[int]) -> float:
    """Return seconds of processor time of processes and those that they started, also of those that ended."""
    spent = 0.0
    for pid in pids:
        whole = psutil.Process(pid)
        for one in (whole, *whole.children(recursive=True)):
            times = one.cpu_times()
            spent += times.user + times.system
        times = whole.cpu_times()
        spent += times.children_user + times.children_system
    return spent


def summary(size: Size, found: Sequence[Way]) -> dict[str, Any]:
    """Return the figures, and what they were made with."""
    by_way = {f"{one.limits}_{one.replicas}": asdict(one) for one in found}
    costs = {}
    for count in {one.replicas for one in found}:
        alone, shared = by_way.get(f"machine_{count}"), by_way.get(f"store_{count}")
        if alone and shared:
            costs[f"cost_us_{count}"] = round(shared["cpu_us"] - alone["cpu_us"], 1)
            costs[f"added_p50_ms_{count}"] = round(shared["rated_p50_ms"] - alone["rated_p50_ms"], 2)
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    return {**by_way, **costs, "size": asdict(size), "machine": machine}


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python -m benchmarks.replicas --runs 5 --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = Size()
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=usual.runs, help=f"of each kind ({usual.runs})")
    parser.add_argument("--requests", type=int, default=usual.requests, help=f"of each run ({usual.requests})")
    parser.add_argument("--rate", type=float, default=usual.rate, help=f"requests a second ({usual.rate:g})")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help=f"at that rate ({usual.seconds:g})")
    given = parser.parse_args()
    size = Size(given.requests, given.rate, given.seconds, runs=given.runs)
    found = uvloop.run(measure(size))
    if given.json:
        print(json.dumps(summary(size, found)))
        return
    print("replicas  limits    decisions/s  p99 ms   at rate: p50 ms  p99 ms   processor us (PostgreSQL's)")
    for one in found:
        rated = f"{one.rated_p50_ms:15.1f} {one.rated_p99_ms:7.1f}"
        print(
            f"{one.replicas:8}  {one.limits:8} {one.rps:12.0f} {one.p99_ms:7.1f} {rated}"
            f" {one.cpu_us:14.0f} ({one.database_cpu_us:.0f})"
        )


if __name__ == "__main__":
    main()
