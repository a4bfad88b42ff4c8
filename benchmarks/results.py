"""What was measured, one file a benchmark: ``reports/bench/<name>.json``."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any, Literal

import psutil

from benchmarks.described import Benchmark, Figure
from controlplane.sidecar.locate import OpaNotFound, locate_opa

FOLDER = Path("reports") / "bench"
_PACKAGES = ("ztfm", "aiohttp", "uvloop", "pydantic", "cryptography", "torch", "flwr")

Status = Literal["measured", "failed", "skipped"]


@dataclass(frozen=True)
class Result:
    """What came of one benchmark.

    Attributes:
        name: of the benchmark.
        status: failed and skipped ones have no figures.
        reason: why it failed or was skipped.
        command: as a person types it.
        quick: with small sizes, which the bars are not about.
        date: when it ended, UTC (RFC 3339).
        seconds: that one run took.
        load_before: load average of the last minute, before it.
        load_after: the same, after it.
        machine: what it was measured on.
        versions: of what was measured.
        found: what each run printed.
    """

    name: str
    status: Status
    reason: str
    command: str
    quick: bool
    date: str
    seconds: float
    load_before: float
    load_after: float
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    found: Sequence[Mapping[str, Any]] = ()

    def value(self, path: str) -> float:
        """The median over the runs of the number at a path.

        Raises:
            KeyError: a run has no number there.
        """
        return median(number_at(found, path) for found in self.found)

    def lacks(self, figures: Sequence[Figure]) -> str:
        """Paths of figures that it has not; nothing when all are there."""
        return ", ".join(one.path for one in figures if not self._has(one.path))

    def _has(self, path: str) -> bool:
        try:
            self.value(path)
        except (KeyError, ValueError):
            return False
        return True


def number_at(found: Any, path: str) -> float:
    """Return the number at a path of an object: members and indices joined by dots, ``*`` for the median of all.

    Raises:
        KeyError: there is none.
    """
    here = [found]
    for part in path.split("."):
        here = [inner for outer in here for inner in _within(outer, part)]
    if not here or not all(_is_number(one) for one in here):
        raise KeyError(f"there is no number at {path} in what was printed")
    return float(median(here))


def _within(outer: Any, part: str) -> list[Any]:
    if isinstance(outer, Mapping):
        return list(outer.values()) if part == "*" else [outer[part]] if part in outer else []
    if isinstance(outer, list):
        return outer if part == "*" else outer[int(part) : int(part) + 1] if part.isdecimal() else []
    return []


def _is_number(one: Any) -> bool:
    return isinstance(one, int | float) and not isinstance(one, bool) and isfinite(one)


def write(result: Result, folder: Path) -> None:
    """Write a result whole, or leave what was there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.name}.json"
    waiting = path.with_suffix(".tmp")
    waiting.write_text(json.dumps(asdict(result), indent=1) + "\n")
    waiting.replace(path)


def read(name: str, folder: Path) -> Result | None:
    """Return the result of a benchmark; none where there is none that can be used."""
    try:
        return Result(**json.loads((folder / f"{name}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def at_hand(benchmarks: Sequence[Benchmark], folder: Path) -> dict[str, Result]:
    """Return what was measured in full size by today's commands, with all figures, by name."""
    found = {one.name: read(one.name, folder) for one in benchmarks}
    return {
        one.name: result
        for one in benchmarks
        if (result := found[one.name]) is not None
        and result.status == "measured"
        and not result.quick
        and result.command == one.shown()
        and not result.lacks(one.figures)
    }


def machine() -> dict[str, Any]:
    """Return what is measured on."""
    return {
        "cpus": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Return the versions of what is measured: Python, packages, OPA, and the revision of this checkout."""
    found = {"python": platform.python_version(), "revision": _revision()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    try:
        found["opa"] = ".".join(map(str, locate_opa(os.environ).version))
    except OpaNotFound:
        found["opa"] = "none"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _revision() -> str:
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
