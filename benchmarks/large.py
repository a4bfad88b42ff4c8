"""Memory that a large model takes at the guard: ``python -m benchmarks.large --json``.

A process of its own holds a state dict of float32 values, seals a round of it, and gates four updates, each as large,
that came as files: digests, capabilities, screening and verdicts, with a control plane, its OPA and the shipped
policies. ``memory_ratio`` is that process's highest resident memory, less what it had before the state dict was there,
over the state dict's size: 1 is the state dict itself. Bringing the updates together comes after that, and is not in
it.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from adapters.guard import Guard, Submission
from adapters.member import Member
from adapters.screening import Manifest, Screener, TensorFile, update_digest
from benchmarks.memory import peak_bytes

BAR = 1.5
UPDATES = 4

_AUDIENCE, _MODEL = "aggregator-1", "smart-home-intents"
_WIDTH = 1024
_LAYER = {"attention": (4 * _WIDTH, _WIDTH), "up": (4 * _WIDTH, _WIDTH), "down": (_WIDTH, 4 * _WIDTH)}
_MEGABYTE = 1 << 20
_SPAWN = multiprocessing.get_context("spawn")


def shapes(megabytes: int) -> dict[str, tuple[int, ...]]:
    """Return the tensors of a transformer of about so many MiB of float32: a tenth of it is one embedding."""
    embedding = max(1, megabytes * _MEGABYTE // 10 // 4 // _WIDTH)
    layer = 4 * sum(rows * columns for rows, columns in _LAYER.values())
    layers = max(1, round((megabytes * _MEGABYTE - 4 * embedding * _WIDTH) / layer))
    parts = {f"layers.{at}.{name}.weight": shape for at in range(layers) for name, shape in _LAYER.items()}
    return {"embedding.weight": (embedding, _WIDTH), **parts}


def measure(megabytes: int) -> dict[str, Any]:
    """Return the figures of a state dict of about so many MiB."""
    from evaluation.demo.fleet import Fleet
    from evaluation.demo.plane import serving

    with tempfile.TemporaryDirectory(prefix="ztfm-") as name:
        folder = Path(name)
        with serving(folder / "plane") as plane_when_ready:
            # Memory of whoever made the updates is not the guard's.
            _apart(_make, folder, megabytes)
            plane = plane_when_ready()
            fleet = Fleet(plane.url, plane.state_dir, folder / "parties")
            fleet.enrol(["aggregator"], ("aggregator",), "core")
            fleet.enrol([f"device-{number}" for number in range(UPDATES)], ("trainer",), "homes")
            found: dict[str, Any] = _apart(_guard, folder)
    return {**found, "bar": BAR, "within_bar": found["memory_ratio"] <= BAR, "updates": UPDATES}


def _apart(work: Any, *given: Any) -> Any:
    """Do some work in a fresh process."""
    with _SPAWN.Pool(1) as pool:
        return pool.apply(work, given)


def _make(folder: Path, megabytes: int) -> None:
    common = _drawn(megabytes, 0)
    save_file(common, folder / "state.safetensors")
    for number in range(UPDATES):
        own = _drawn(megabytes, number + 1)
        save_file({name: 0.01 * (common[name] + own[name]) for name in common}, folder / f"{number}.safetensors")


def _drawn(megabytes: int, seed: int) -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=noise) for name, shape in shapes(megabytes).items()}


def _guard(folder: Path) -> dict[str, Any]:
    parties = folder / "parties"
    with Guard.open(parties / "aggregator", audience=_AUDIENCE, model=_MODEL) as guard:
        members = [Member.open(parties / f"device-{number}") for number in range(UPDATES)]
        files = [folder / f"{number}.safetensors" for number in range(UPDATES)]
        _warm()
        before = peak_bytes()
        state: Mapping[str, Tensor] = dict(TensorFile(folder / "state.safetensors"))
        begun = time.perf_counter()
        sealed = guard.seal(state, [member.id for member in members])
        seal_s = time.perf_counter() - begun
        shown = [m.submit(sealed.terms, update_digest(f, sealed.manifest)) for m, f in zip(members, files, strict=True)]
        begun = time.perf_counter()
        gated = guard.gate(sealed, [Submission(m.id, f, 100, c) for m, f, c in zip(members, files, shown, strict=True)])
        gate_s = time.perf_counter() - begun
        for member in members:
            member.close()
    size = sealed.manifest.size_bytes
    peak = peak_bytes() - before
    return {
        "memory_ratio": round(peak / size, 3),
        "state_bytes": size,
        "peak_bytes": peak,
        "largest_tensor_bytes": max(tensor.numel() * tensor.element_size() for tensor in state.values()),
        "seal_s": round(seal_s, 2),
        "gate_s": round(gate_s, 2),
        "gate_bytes_per_second": round(UPDATES * size / gate_s),
        "accepted": len(gated.accepted),
        "threads": torch.get_num_threads(),
    }


def _warm() -> None:
    """Have everything loaded that is loaded once."""
    few = {str(number): {"w": torch.randn(8, 8)} for number in range(UPDATES)}
    Screener().screen(few, Manifest.of(few["0"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the state dict, MiB")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    found = measure(given.megabytes)
    print(json.dumps(found) if given.json else "\n".join(f"{name:24} {value}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
