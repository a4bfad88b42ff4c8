"""Runs benchmarks one after the other, each in a process group of its own that ends with it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.described import Benchmark
from benchmarks.results import Result

LONGEST_SECONDS = 3600.0
END_SECONDS = 20.0
BEGUN = "begun.json"
_LOOK_SECONDS = 0.2

Said = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        benchmarks: in order.
        runs: of each; the median of a figure counts.
        quick: small sizes.
        since: results of this moment and later are kept, Unix seconds; none keeps none.
        folder: where results lie.
    """

    benchmarks: Sequence[Benchmark]
    runs: int
    quick: bool
    since: float | None
    folder: Path

    def kept(self, benchmark: Benchmark) -> Result | None:
        """The result that makes running this one again needless."""
        found = results.read(benchmark.name, self.folder)
        if self.since is None or found is None or found.status != "measured":
            return None
        same = (found.command, found.quick, len(found.found)) == (
            benchmark.shown(quick=self.quick),
            self.quick,
            self.runs,
        )
        try:
            is_new = datetime.fromisoformat(found.date).timestamp() >= self.since
        except ValueError:
            return None
        return found if same and is_new and not found.lacks(benchmark.figures) else None

    def seconds(self, benchmark: Benchmark) -> float:
        """About how long this one will take: as long as the last time, else as the registry says."""
        found = results.read(benchmark.name, self.folder)
        is_alike = found is not None and found.status == "measured" and found.quick == self.quick
        each = found.seconds if found is not None and is_alike else benchmark.seconds / (5.0 if self.quick else 1.0)
        return each * self.runs


def begin(folder: Path, picks: Sequence[str], runs: int, *, quick: bool) -> None:
    """Note what is run from now on, for `begun`."""
    folder.mkdir(parents=True, exist_ok=True)
    # Results are dated to the second.
    noted = {"at": int(time.time()), "picks": list(picks), "runs": runs, "quick": quick}
    (folder / BEGUN).write_text(json.dumps(noted) + "\n")


def begun(folder: Path) -> Mapping[str, Any]:
    """Return what was begun last: ``at`` (Unix seconds), ``picks``, ``runs``, ``quick``.

    Raises:
        FileNotFoundError: nothing was begun here.
    """
    try:
        noted: dict[str, Any] = json.loads((folder / BEGUN).read_text())
        return {"at": float(noted["at"]), **{name: noted[name] for name in ("picks", "runs", "quick")}}
    except (OSError, ValueError, KeyError, TypeError):
        raise FileNotFoundError(f"nothing to go on with in {folder}: start without --resume") from None


def run(plan: Plan, said: Said) -> list[Result]:
    """Run what is planned, write each result as soon as it is there, and return all of them.

    Args:
        plan: what to run.
        said: told of progress, a line at a time.

    Raises:
        KeyboardInterrupt: it was stopped. What was measured until then is written.
    """
    kept = {one.name: found for one in plan.benchmarks if (found := plan.kept(one)) is not None}
    made: list[Result] = []
    for number, benchmark in enumerate(plan.benchmarks, 1):
        place = f"[{number}/{len(plan.benchmarks)}] {benchmark.name}"
        if benchmark.name in kept:
            said(f"{place}: measured already")
            made.append(kept[benchmark.name])
            continue
        left = sum(plan.seconds(one) for one in plan.benchmarks[number - 1 :] if one.name not in kept)
        said(f"{place}: about {span(plan.seconds(benchmark))}; {span(left)} left in all")
        result = measured(benchmark, plan.runs, quick=plan.quick)
        results.write(result, plan.folder)
        said(f"{place}: {result.status}, {result.reason or f'{span(result.seconds)} a run'}")
        made.append(result)
    return made


def measured(benchmark: Benchmark, runs: int, *, quick: bool) -> Result:
    """Run one benchmark so many times, and return what came of it."""
    before, begun_at = os.getloadavg()[0], time.monotonic()
    reason, found = benchmark.lacks(), list[dict[str, Any]]()
    status: results.Status = "skipped" if reason else "measured"
    try:
        while not reason and len(found) < runs:
            found.append(_ran(benchmark, quick=quick))
    except NotMeasured as failed:
        status, reason = "failed", str(failed)
    return Result(
        name=benchmark.name,
        status=status,
        reason=reason,
        command=benchmark.shown(quick=quick),
        quick=quick,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round((time.monotonic() - begun_at) / max(1, len(found)), 1),
        load_before=round(before, 2),
        load_after=round(os.getloadavg()[0], 2),
        machine=results.machine(),
        versions=results.versions(),
        found=found if status == "measured" else (),
    )


class NotMeasured(Exception):  # noqa: N818 - named for what happened
    """A benchmark ended without its figures; the message says how."""


def _ran(benchmark: Benchmark, *, quick: bool) -> dict[str, Any]:
    command = [sys.executable, *benchmark.command(quick=quick)]
    environment = {**os.environ, **benchmark.environment}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        # A session of its own: when we end it, all that it started ends with it.
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, start_new_session=True)
        try:
            code = process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"it took longer than {LONGEST_SECONDS:.0f} s and was ended") from None
        finally:
            _end(process)
        out.seek(0)
        err.seek(0)
        printed, words = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if code != 0:
        raise NotMeasured(f"it ended with {code}: {words.strip()[-500:]}")
    try:
        found = json.loads(printed.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise NotMeasured("it printed no JSON object") from None
    if not isinstance(found, dict):
        raise NotMeasured("it printed no JSON object")
    lacking = [figure.path for figure in benchmark.figures if not _has(found, figure.path)]
    if lacking:
        raise NotMeasured(f"it printed no {', '.join(lacking)}")
    return found


def _has(found: Mapping[str, Any], path: str) -> bool:
    try:
        results.number_at(found, path)
    except KeyError:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all of its group; give them a while to go by themselves."""
    deadline = time.monotonic() + END_SECONDS
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        while _is_alive(process) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


def _is_alive(process: "subprocess.Popen[bytes]") -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def span(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
