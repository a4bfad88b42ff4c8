"""What keeping updates costs, and undoing some of them: ``python -m benchmarks.rollback``.

Rounds of so many updates of float32 values are archived, a model is rebuilt without one subject's, and
the archive is verified. ``record_s`` is what a guarded round pays more for being kept: digests, doing it again once to
know that it can be, and the files on the disk. ``write_s`` is what writing the same bytes takes, forced to the disk.
Seconds are medians over the rounds.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapters.rollback import Aggregated, Asked, Contributed, DeltaArchive, KeptUpdate, Recipe
from adapters.rollback.replay import replay
from adapters.screening import Manifest, update_digest
from controlplane.jose.keys import DeviceKey

_MODEL = "smart-home-intents"


def made(number: int, before: dict[str, Tensor], updates: int) -> Aggregated:
    """Return a round to which each of so many subjects contributed."""
    noise = torch.Generator().manual_seed(number)
    manifest = Manifest.of(before)
    sent = [{name: 0.01 * torch.randn(t.shape, generator=noise) for name, t in before.items()} for _ in range(updates)]
    kept = [
        KeptUpdate(
            subject=f"dev-{at}",
            update_digest=digest,
            content=digest,
            decision_id=f"dec-{number}-{at}",
            weight=10,
            scale=1.0,
        )
        for at, digest in enumerate(update_digest(one, manifest) for one in sent)
    ]
    after = replay(Recipe(), before, sent, [10] * updates)
    pairs = zip(sent, kept, strict=True)
    return Aggregated(f"r{number}", _MODEL, before, after, [Contributed(*pair) for pair in pairs])


def measure(folder: Path, rounds: int, updates: int, parameters: int) -> dict[str, Any]:
    """Return the figures of one archive in ``folder``."""
    state: dict[str, Tensor] = {"weight": torch.zeros(parameters)}
    recorded, written = [], []
    with DeltaArchive(folder / "archive", DeviceKey.generate()) as archive:
        for number in range(rounds):
            done = made(number, state, updates)
            recorded.append(_seconds(partial(archive.record, done)))
            written.append(_seconds(partial(_write, folder / "plain", (1 + updates) * 4 * parameters)))
            state = dict(done.after)
        rebuild = _seconds(lambda: archive.rebuild(Asked(without=["dev-0"], since="r0")))
        verify = _seconds(archive.verify)
        size = archive.size_bytes
    return {
        "rounds": rounds,
        "updates": updates,
        "parameters": parameters,
        "threads": torch.get_num_threads(),
        "record_s": round(statistics.median(recorded), 4),
        "write_s": round(statistics.median(written), 4),
        "rebuild_round_s": round(rebuild / rounds, 4),
        "verify_round_s": round(verify / rounds, 4),
        "round_bytes": size // rounds,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--parameters", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        found = measure(Path(folder), given.rounds, given.updates, given.parameters)
    lines = [f"{name:16} {value}" for name, value in found.items()]
    print(json.dumps(found) if given.json else "\n".join(lines))
    return 0


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(bytes(size))
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(main())
