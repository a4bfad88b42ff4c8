"""Whether a decision costs the same however much there is: ``python -m benchmarks.growth --json``.

Control planes with little and with much stand side by side and take turns, so that other work on the machine meets them
alike: 10, 1,000 and 100,000 devices in the store; 10 to 10,000 exceptions, as many granted as signed with the policies;
1 to 100 packages beside the policies that are shipped. Each is asked over 16 connections with mutual TLS. ``ratio`` is
the processor time of a decision with the most over that with the least, all processes together: at most 1.25 is flat.
``bytes_each`` is by how much their resident memory is larger, for each thing more.
"""

import argparse
import json
import ssl
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks.growth.worlds import ASKERS, World, with_devices, with_exceptions, with_policies
from benchmarks.household import Served, certified, median, served
from benchmarks.load import drive, encode
from benchmarks.processes import Family

FLAT = 1.25
"""Where a decision with the most costs less than so many of those with the least, it is flat."""

Fill = Callable[[Path, int], Awaitable[World]]


@dataclass(frozen=True)
class Axis:
    """What grows.

    Attributes:
        fill: makes a world of a size.
        sizes: from the least to the most.
        quick: sizes instead, to see that it runs.
    """

    fill: Fill
    sizes: Sequence[int]
    quick: Sequence[int]


AXES: Mapping[str, Axis] = {
    "devices": Axis(with_devices, (10, 1_000, 100_000), (10, 1_000)),
    "exceptions": Axis(with_exceptions, (10, 1_000, 10_000), (10, 100)),
    "policies": Axis(with_policies, (1, 10, 100), (1, 10)),
}


@dataclass
class Measured:
    """A control plane of some size, and what its turns came to.

    Attributes:
        size: how much it holds.
        port: on which it listens with TLS.
        family: its processes.
        tls: how each asker connects.
        requests: that each asker sends.
        p50_ms: median latency of each turn, milliseconds.
        cpu_us: processor time of a request in each turn, microseconds.
    """

    size: int
    port: int
    family: Family
    tls: Sequence[ssl.SSLContext]
    requests: Sequence[bytes]
    p50_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    async def turn(self, count: int) -> None:
        """Ask so often."""
        used = self.family.cpu_seconds()
        encoded = [self.requests[number % len(self.requests)] for number in range(count)]
        load = await drive("127.0.0.1", self.port, encoded, len(self.requests), self.tls)
        used = self.family.cpu_seconds() - used
        if not load.statuses.keys() <= {200, 201}:
            raise RuntimeError(f"with {self.size:,} of them, answers should be 200 or 201: {load.statuses}")
        self.p50_ms.append(load.percentile(0.5) * 1e3)
        self.cpu_us.append(used / count * 1e6)


@dataclass(frozen=True)
class Point:
    """What a decision costs with so many of something; memory is that of all processes, MiB."""

    size: int
    p50_ms: float
    cpu_us: float
    resident_mib: float


async def curve(axis: Axis, sizes: Sequence[int], folder: Path, requests: int, turns: int) -> list[Point]:
    """Return what a decision costs at each size."""
    async with AsyncExitStack() as stack:
        grown = []
        for size in sizes:
            world = await axis.fill(folder / str(size), size)
            state = folder / str(size) / "state"
            plane = await stack.enter_async_context(served(state, tls=True, workers=1, settings=world.settings))
            grown.append(await _measured(size, plane, world))
        for one in grown:
            await one.turn(requests)
            one.p50_ms.clear()
            one.cpu_us.clear()
        for _ in range(turns):
            for one in grown:
                await one.turn(requests)
        return [_point(one) for one in grown]


async def _measured(size: int, plane: Served, world: World) -> Measured:
    tls = [await certified(plane, key) for key in world.keys]
    asked = [encode(*world.asks(place), {}) for place in range(len(tls))]
    port = int(plane.tls_url.rpartition(":")[2])
    return Measured(size, port, Family(psutil.Process(plane.pid)), tls, asked)


def _point(one: Measured) -> Point:
    memory = one.family.resident_bytes() / 2**20
    return Point(one.size, round(median(one.p50_ms), 3), round(median(one.cpu_us), 1), round(memory, 1))


def summary(points: Sequence[Point]) -> dict[str, Any]:
    """Return the curve, how much the most costs over the least, and the memory that one thing more takes."""
    least, most = points[0], points[-1]
    each = (most.resident_mib - least.resident_mib) * 2**20 / (most.size - least.size)
    return {
        "curve": [asdict(one) for one in points],
        "ratio": round(most.cpu_us / least.cpu_us, 3),
        "ratio_p50": round(most.p50_ms / least.p50_ms, 3),
        "bytes_each": round(each),
        "is_flat": most.cpu_us / least.cpu_us <= FLAT,
    }


async def measure(axes: Mapping[str, Axis], requests: int, turns: int, *, quick: bool) -> dict[str, Any]:
    """Measure one axis after the other; return a summary of each."""
    found: dict[str, Any] = {}
    for name, axis in axes.items():
        with tempfile.TemporaryDirectory(prefix="ztfm-growth-") as folder:
            sizes = axis.quick if quick else axis.sizes
            found[name] = summary(await curve(axis, sizes, Path(folder), requests, turns))
        print(f"{name}: {found[name]['ratio']} times as much with {sizes[-1]:,}", file=sys.stderr, flush=True)
    return {**found, "bar": FLAT, "requests": requests, "turns": turns, "askers": ASKERS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        epilog="example: python -m benchmarks.growth --axis devices --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--axis", action="append", choices=AXES, help="this one; several times for more (all)")
    parser.add_argument("--requests", type=int, default=1000, help="in each turn, to each control plane (1000)")
    parser.add_argument("--turns", type=int, default=5, help="of each; medians are told (5)")
    parser.add_argument("--quick", action="store_true", help="small sizes and few requests, to see that it runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    axes = {name: axis for name, axis in AXES.items() if not given.axis or name in given.axis}
    much = (160, 1) if given.quick else (given.requests, given.turns)
    found = uvloop.run(measure(axes, *much, quick=given.quick))
    if given.json:
        print(json.dumps(found))
        return 0
    for name in axes:
        for point in found[name]["curve"]:
            print(f"{point['size']:>9,} {name:11}", *(f"{key} {value:g}" for key, value in list(point.items())[1:]))
        said = "flat" if found[name]["is_flat"] else "not flat"
        print(f"{'':21} {found[name]['ratio']} times as much: {said}; {found[name]['bytes_each']:,} bytes each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
