"""How fast a fleet is enrolled from a file: ``python -m benchmarks.fleet --json``.

A control plane with OPA and SQLite serves in a process of its own, and `adapters.fleet` enrols a file's devices there
from this one: each with a key, a token of its own, a decision, a record, an entry in the log and a line of the journal,
all on disk before it counts. The limit for newcomers of one address (20 a second) is lifted: it would be what is
measured. ``enrolled_per_second`` is the median of the runs, each with a new file and a new folder; so is the processor
time of an enrolment at the station and at the control plane with its OPA, which says more where others work beside it.
"""

import argparse
import asyncio
import json
import multiprocessing
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import uvloop

from adapters.fleet import Wanted, enrol_fleet
from adapters.member import Member
from controlplane.api.services import EdgeLimits
from controlplane.api.serving import serving
from controlplane.app import build_app
from controlplane.bootstrap import FILE as SECRET
from controlplane.entry import open_listeners
from controlplane.settings import Settings

_UNLIMITED = EdgeLimits(rate=1e6, burst=1e6, stranger_rate=1e6, stranger_burst=1e6)


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        devices: of a file.
        at_once: that are enrolled at a time.
        runs: one after the other.
    """

    devices: int
    at_once: int
    runs: int


@dataclass(frozen=True)
class Run:
    """What one run came to.

    Attributes:
        per_second: enrolments.
        station_cpu_ms: processor time of an enrolment at the station.
        control_plane_cpu_ms: of the same at the control plane and its OPA.
    """

    per_second: float
    station_cpu_ms: float
    control_plane_cpu_ms: float


def measure(size: Size) -> list[Run]:
    """Return what each run came to."""
    with tempfile.TemporaryDirectory(prefix="ztfm-fleet-") as name:
        folder = Path(name)
        with _served(folder / "state") as (url, process):
            secret = (folder / "state" / SECRET).read_text().strip()
            Member.enrol(folder / "admin", url, secret, roles=("administrator",), segment="core").close()
            return [_run(folder, process, number, size) for number in range(size.runs)]


def _run(folder: Path, process: psutil.Process, number: int, size: Size) -> Run:
    file = folder / f"fleet-{number}.csv"
    rows = (f"camera-{number}-{one},trainer,homes" for one in range(size.devices))
    file.write_text("\n".join(["name,roles,segment", *rows]))
    wanted = Wanted(
        file=file,
        out=folder / f"station-{number}",
        admin=folder / "admin",
        url=None,
        at_once=size.at_once,
        hours=1.0,
        patience_seconds=60.0,
        options={},
    )
    used, theirs = time.process_time(), _used(process)
    outcome = enrol_fleet(wanted)
    used, theirs = time.process_time() - used, _used(process) - theirs
    if not outcome.is_complete:
        raise SystemExit(f"not all were enrolled: {outcome}")
    count = outcome.enrolled
    return Run(count / outcome.seconds, 1000 * used / count, 1000 * theirs / count)


def _used(process: psutil.Process) -> float:
    """Return seconds of processor time of a process and those that it started."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


@contextmanager
def _served(state: Path) -> Iterator[tuple[str, psutil.Process]]:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(state, there))
    process.start()
    try:
        if not here.poll(120):
            raise SystemExit("the control plane does not start")
        yield here.recv(), psutil.Process(process.pid)
    finally:
        here.close()
        process.join(30)
        process.kill()


def _serve(state: Path, told: Connection) -> None:
    # What it logs is not what is measured.
    sys.stdout = sys.stderr
    built, listeners = open_listeners(Settings(state_dir=state, listen_port=0))

    async def _until_told() -> None:
        async with serving(build_app(built, limits=_UNLIMITED), *listeners):
            told.send(built.resolved_public_url)
            # The other end is closed when all is measured.
            await asyncio.to_thread(told.poll, None)

    uvloop.run(_until_told())


def summary(size: Size, runs: Sequence[Run]) -> dict[str, Any]:
    """Return the figures."""
    return {
        "devices": size.devices,
        "at_once": size.at_once,
        "enrolled_per_second": round(median(one.per_second for one in runs), 1),
        "station_cpu_ms": round(median(one.station_cpu_ms for one in runs), 2),
        "control_plane_cpu_ms": round(median(one.control_plane_cpu_ms for one in runs), 2),
        "runs": [round(one.per_second, 1) for one in runs],
        "python": platform.python_version(),
    }


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1000, help="of a file (1000)")
    parser.add_argument("--at-once", type=int, default=16, help="that are enrolled at a time (16)")
    parser.add_argument("--runs", type=int, default=3, help="one after the other (3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    size = Size(given.devices, given.at_once, given.runs)
    found = summary(size, measure(size))
    if given.json:
        print(json.dumps(found))
    else:
        print(
            f"{found['enrolled_per_second']} enrolments a second, {size.at_once} at a time, of {size.devices} devices"
        )


if __name__ == "__main__":
    main()
