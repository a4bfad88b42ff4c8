"""What evidence costs, beside aggregators that name clients: ``python -m benchmarks.screening``.

Updates have 1,000,000 float32 values in 17 tensors. Everything is measured: the whole of `UpdateEvidence`, with a full
memory of earlier rounds. A digest reads each byte once more, through SHA-256, which costs more than all the rest; the
guard computes it when it verifies a submission, so it is told apart.

The peers are Flower's Multi-Krum and Bulyan, which get arrays that are decoded already, and, where ``--byzfl`` names a
folder that it was installed in (``pip install --no-deps --target FOLDER byzfl``), Krum, Multi-Krum, nearest-neighbour
mixing and the median of byzfl. They take turns with ours in one process; times are medians. Only Krum, Multi-Krum and
Bulyan name clients. Top-level keys are those of 100 updates.
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from adapters.screening import Manifest, Screener, update_digests
from adapters.screening.projection import Projection
from adapters.screening.values import cut, read_all
from benchmarks.memory import peak_bytes
from benchmarks.robust import NAMES_CLIENTS, Job, byzfl, flower, versions

BAR = 8.0

SHAPES = {"head.weight": (40, 1000)} | {f"layers.{number}.weight": (250, 240) for number in range(16)}
BYTES = 4_000_000

_HOSTILE = 0.2
_REMEMBERED = 2048
_LONGEST_S = 20.0
_SEEDS = 10

Update = dict[str, Tensor]


def cohort(count: int) -> Iterator[tuple[str, Update]]:
    """Yield updates that have a direction in common, as those of a federation have."""
    common = _drawn(0)
    for number in range(count):
        own = _drawn(number + 1)
        yield f"dev-{number}", {name: common[name] + 2.0 * own[name] for name in SHAPES}


def take_turns(jobs: Mapping[str, Job], runs: int) -> dict[str, float]:
    """Return each job's median seconds over so many runs; a long one is run less often, and at least once."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(runs + 1):
        for name, job in jobs.items():
            if sum(taken[name]) < _LONGEST_S:
                begun = time.perf_counter()
                job()
                taken[name].append(time.perf_counter() - begun)
    # The first run warms caches up, unless there was no other.
    return {name: statistics.median(found[1:] or found) for name, found in taken.items()}


def measure(count: int, runs: int, folder: Path | None, slow: bool) -> dict[str, Any]:
    """Return what is measured of a cohort of so many.

    Args:
        count: updates.
        runs: of each job.
        folder: where byzfl is installed.
        slow: also run peers that take minutes.
    """
    updates = dict(cohort(count))
    screener, manifest = _full(updates), Manifest.of(updates["dev-0"])
    digests = dict(zip(updates, update_digests(list(updates.values()), manifest), strict=True))
    into = {name: torch.empty(shape) for name, shape in SHAPES.items()}
    hostile = min(int(_HOSTILE * count), (count - 3) // 4)
    peers = {**flower(list(updates.values()), hostile), **byzfl(folder, list(updates.values()), hostile)}
    if not slow:
        peers = {name: job for name, job in peers.items() if name not in {"flower_bulyan", "byzfl_median"}}
    ours: dict[str, Job] = {
        "evidence": lambda: screener.screen(updates, manifest, digests=digests),
        "evidence_with_digests": lambda: screener.screen(updates, manifest),
        "digests": lambda: update_digests(list(updates.values()), manifest),
        "copy": lambda: [into[name].copy_(tensor) for update in updates.values() for name, tensor in update.items()],
    }
    seconds = take_turns({**ours, **peers}, runs)
    naming = {name: seconds[name] for name in peers if name in NAMES_CLIENTS}
    fastest = min(naming, key=lambda name: naming[name])
    speed = count * BYTES / seconds["evidence"]
    return {
        "ratio_fastest_peer": round(naming[fastest] / seconds["evidence"], 2),
        "ratio_fastest_peer_with_digests": round(naming[fastest] / seconds["evidence_with_digests"], 2),
        "fastest_peer": fastest,
        "bytes_per_second": round(speed),
        "memory_bandwidth_share": round(speed / (count * BYTES / seconds["copy"]), 3),
        "peak_memory_bytes": _peak_memory(count),
        "milliseconds": {name: round(1000.0 * found, 1) for name, found in seconds.items()},
    }


def projection_errors(count: int = 20) -> dict[str, float]:
    """Return the cosines' standard error as it is stated, and as it is over all pairs and some projections."""
    updates = [update for _, update in cohort(count)]
    manifest = Manifest.of(updates[0])
    pieces = cut(manifest)
    pairs = np.triu_indices(count, 1)
    exact = _cosines(
        np.stack([np.concatenate([update[name].numpy().ravel() for name in SHAPES]) for update in updates])
    )
    stated, missed = [], []
    for seed in range(_SEEDS):
        projection = Projection(manifest, pieces, seed)
        sketches = np.stack([read_all(update, manifest, pieces, [projection])[0] for update in updates])
        stated.append(projection.errors(sketches).mean())
        missed.append((_cosines(sketches) - exact)[pairs])
    return {
        "projection_error_stated": round(float(np.mean(stated)), 5),
        "projection_error_measured": round(float(np.sqrt(np.square(missed).mean())), 5),
        "projection_bias_measured": round(float(np.mean(missed)), 5),
    }


def _drawn(seed: int) -> Update:
    noise = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=noise) for name, shape in SHAPES.items()}


def _full(updates: Mapping[str, Update]) -> Screener:
    """A screener whose memory of earlier rounds is full."""
    screener, manifest = Screener(remembered=_REMEMBERED), Manifest.of(next(iter(updates.values())))
    blank = dict.fromkeys(updates, f"sha256:{'0' * 64}")
    for _ in range(_REMEMBERED // len(updates) + 1):
        screener.screen(updates, manifest, digests=blank)
    return screener


def _cosines(rows: "np.ndarray[Any, np.dtype[np.float32]]") -> "np.ndarray[Any, np.dtype[np.float64]]":
    whole = rows.astype(np.float64)
    lengths = np.linalg.norm(whole, axis=1)
    return np.asarray(whole @ whole.T / lengths[:, None] / lengths)


def _peak_memory(count: int) -> int:
    """Bytes that screening files of so many updates adds to a fresh process at its peak."""
    with tempfile.TemporaryDirectory() as folder:
        for name, update in cohort(count):
            save_file(update, Path(folder) / name)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_screen_files, (folder,))


def _screen_files(folder: str) -> int:
    few, manifest = dict(cohort(5)), Manifest.of(_drawn(0))
    Screener().screen(few, manifest)
    del few
    before = peak_bytes()
    Screener().screen(((path.name, path) for path in sorted(Path(folder).iterdir())), manifest)
    return peak_bytes() - before


def summary(sizes: Sequence[int], runs: int, folder: Path | None, slow: bool) -> dict[str, Any]:
    """Return everything, with what is measured of 100 updates, or of the first size, at the top."""
    by_size = {count: measure(count, runs if count <= 100 else 2, folder, slow and count <= 100) for count in sizes}
    main = by_size.get(100) or by_size[sizes[0]]
    return {
        **main,
        **projection_errors(),
        "bar": BAR,
        "within_bar": main["ratio_fastest_peer"] >= BAR,
        "sizes": {str(count): found for count, found in by_size.items()},
        "peers": versions(folder),
        "runs": runs,
        "machine": {
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=5, help="runs of each, 2 above 100 updates; medians are quoted")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 100, 500], help="cohorts, 7 updates or more")
    parser.add_argument("--byzfl", type=Path, help="folder that byzfl was installed in")
    parser.add_argument("--slow", action="store_true", help="also run Bulyan and the median, which take minutes")
    given = parser.parse_args()
    found = summary(given.sizes, given.runs, given.byzfl, given.slow)
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:34} {value}")


if __name__ == "__main__":
    main()
