"""Whether a control plane that serves for long stays as it was: ``python -m benchmarks.soak --seconds 3600 --json``.

Devices ask at a steady rate, some connections are open and say nothing, and every few seconds it is looked at what the
control plane and its OPA hold: memory, files, threads, and rows of each table. What grows with what was decided, as the
decision log does, is told per request; what a process holds must be as much at the end as after the first quarter.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks.household import MODEL, Enrolled, Served, database_of, enrol, served
from benchmarks.load import Load, encode
from benchmarks.pace import drive_at
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from controlplane.storage import open_store

ASKED = json.dumps(
    {
        "action": "inference",
        "resource": {"type": "model", "id": MODEL},
        "audience": "gateway-1",
        "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}},
    }
).encode()

FLAT = 1.1
"""The last quarter's memory over the second quarter's, at most."""

CONNECTIONS = 16
MOST_AT_ONCE = 500
"""Proofs are made beforehand, and hold for a minute: so many requests, or seconds, go out between two looks."""


@dataclass(frozen=True)
class Look:
    """What was held at one moment.

    Attributes:
        seconds: since the beginning.
        requests: answered so far.
        refused: of these, those that were not granted.
        resident_bytes: of the control plane's process.
        opa_bytes: of its OPA.
        files: that the control plane has open, connections among them.
        threads: of the control plane.
        rows: of each table that has any.
        database_bytes: of the database's files.
        p99_ms: of the requests since the last look.
    """

    seconds: float
    requests: int
    refused: int
    resident_bytes: int
    opa_bytes: int
    files: int
    threads: int
    rows: dict[str, int]
    database_bytes: int
    p99_ms: float


@dataclass(frozen=True)
class Plan:
    """How long, and how much.

    Attributes:
        seconds: in all.
        rate: requests a second.
        every: seconds between two looks.
        devices: that ask.
        idle: connections that are open and say nothing.
    """

    seconds: float
    rate: float = 50.0
    every: float = 10.0
    devices: int = 50
    idle: int = 0


async def soak(plan: Plan) -> list[Look]:
    """Have a control plane serve, and return what it held, look by look."""
    with tempfile.TemporaryDirectory(prefix="ztfm-bench-") as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        keys = await _enrolled(state, plan.devices)
        async with served(state, workers=1) as plane, _idle(plane, plan.idle):
            return await _looks(plan, plane, keys, state)


async def _enrolled(state: Path, many: int) -> list[DeviceKey]:
    store = await open_store(database_of(state))
    try:
        return await enrol(store, [Enrolled("consumer", "homes")] * many)
    finally:
        await store.close()


async def _looks(plan: Plan, plane: Served, keys: Sequence[DeviceKey], state: Path) -> list[Look]:
    begun, looks, asking = time.monotonic(), list[Look](), cycle(keys)
    requests = refused = 0
    while not looks or looks[-1].seconds < plan.seconds:
        many = max(1, min(MOST_AT_ONCE, int(plan.rate * plan.every)))
        load = await _put_load(plane, [next(asking) for _ in range(many)], plan.rate)
        requests += load.requests
        refused += load.requests - load.statuses.get(201, 0)
        if time.monotonic() - begun >= len(looks) * plan.every or not looks:
            looks.append(_look(plane, state, time.monotonic() - begun, requests, refused, load))
    return looks


async def _put_load(plane: Served, keys: Sequence[DeviceKey], rate: float) -> Load:
    url = f"{plane.url}/v1/capabilities"
    encoded = []
    for key in keys:
        proof = make_proof(key, method="POST", url=url, now=time.time())
        encoded.append(encode("/v1/capabilities", ASKED, {"DPoP": proof}))
    return await drive_at(rate, "127.0.0.1", int(plane.url.rpartition(":")[2]), encoded, CONNECTIONS)


def _look(plane: Served, state: Path, seconds: float, requests: int, refused: int, load: Load) -> Look:
    process = psutil.Process(plane.pid)
    opa = [child for child in process.children(recursive=True) if child.name().startswith("opa")]
    files = [path for path in state.glob("ztfm.db*") if path.exists()]
    return Look(
        seconds=round(seconds, 1),
        requests=requests,
        refused=refused,
        resident_bytes=process.memory_info().rss,
        opa_bytes=sum(child.memory_info().rss for child in opa),
        files=process.num_fds(),
        threads=process.num_threads(),
        rows=_rows(state / "ztfm.db"),
        database_bytes=sum(path.stat().st_size for path in files),
        p99_ms=round(1000 * load.percentile(0.99), 1),
    )


def _rows(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        tables = [row[0] for row in found]
        counts = {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    return {name: count for name, count in counts.items() if count}


@asynccontextmanager
async def _idle(plane: Served, many: int) -> AsyncIterator[None]:
    """Keep so many connections open that begin a request and say no more; those that are closed are opened anew."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < many + 512:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, many + 512), hard))
    port = int(plane.url.rpartition(":")[2])

    async def _one(number: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n" if number % 2 else b"")
                    await reader.read()
                finally:
                    writer.close()
                    await writer.wait_closed()
            await asyncio.sleep(1.0)

    tasks = [asyncio.create_task(_one(number)) for number in range(many)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def summary(looks: Sequence[Look]) -> dict[str, Any]:
    """Return what stayed and what grew.

    The first quarter is for warming up; without four looks nothing is known of growth, and ratios are none.
    """
    quarter = len(looks) // 4
    early, late = looks[quarter : 2 * quarter], looks[len(looks) - quarter :]
    first, last = looks[quarter], looks[-1]
    answered = max(1, last.requests - first.requests)

    def _ratio(name: str) -> float | None:
        if not quarter:
            return None
        return round(_mean(late, name) / max(1.0, _mean(early, name)), 3)

    memory = _ratio("resident_bytes")
    grew = {name: rows - first.rows.get(name, 0) for name, rows in last.rows.items()}
    return {
        "seconds": last.seconds,
        "requests": last.requests,
        "refused": last.refused,
        "resident_mb": round(last.resident_bytes / 1e6, 1),
        "resident_ratio": memory,
        "opa_ratio": _ratio("opa_bytes"),
        "files_ratio": _ratio("files"),
        "threads_ratio": _ratio("threads"),
        "rows_per_request": {name: round(many / answered, 3) for name, many in grew.items() if many},
        "database_bytes_per_request": round((last.database_bytes - first.database_bytes) / answered),
        "is_flat": memory is not None and memory <= FLAT and (_ratio("files") or 0.0) <= FLAT,
    }


def _mean(looks: Sequence[Look], name: str) -> float:
    return float(sum(getattr(look, name) for look in looks)) / len(looks)


def main() -> None:
    """Soak, and print what was held; exits with 1 where it is not flat or anything was refused."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example: python -m benchmarks.soak --seconds 3600 --rate 50 --idle 10000 --json",
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two looks")
    parser.add_argument("--devices", type=int, default=100, help="that ask; each has a budget of requests")
    parser.add_argument("--idle", type=int, default=0, help="connections that are open and say nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object, every look in it")
    given = parser.parse_args()
    plan = Plan(given.seconds, given.rate, given.every, given.devices, given.idle)
    looks = uvloop.run(soak(plan))
    found = summary(looks)
    if given.json:
        print(json.dumps({**found, "looks": [asdict(look) for look in looks]}))
    else:
        for name, value in found.items():
            print(f"{name:28} {value}")
    sys.exit(0 if found["is_flat"] and not found["refused"] else 1)


if __name__ == "__main__":
    main()
