"""What a guarded round costs beside the same round with nobody on guard.

Twenty devices fine-tune the demo's model, on the demo's task and with its local epochs, all of them honest: in Flower's
simulation or NVFLARE's (``--backend``), with a control plane, its OPA and the shipped policies, and with the server's
own reference in each guarded round. Unguarded rounds and guarded ones take turns; ``overhead_ratio`` is the median of
how many times as long the guarded one of each pair took, ``overhead_seconds`` the median of by how much. The latter is
what does not shrink where devices train for longer. ``processor_ratio`` compares processor time, of devices, server,
control plane and OPA together: other work on the machine moves it less than the clock.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.rounds.figures import Timed, figures
from evaluation.demo.environment import quieten

ALIKE = {"RAY_worker_niceness": "0"}
"""Devices' processes are served like all others: Ray's default starves them on a machine that does more."""

UNMEASURED = 2
"""Pairs in front that warm up the simulation's processes, and let everybody be known."""


NVFLARE = Path(__file__).parents[2] / "build" / "backends" / "nvflare" / "bin" / "python"
"""The interpreter that has NVFLARE."""


def measure_flower(pairs: int, epochs: int) -> dict[str, Any]:
    """Return the figures of so many pairs of rounds with Flower.

    Args:
        pairs: that count.
        epochs: of a device's training in one round.
    """
    quieten()
    os.environ.update(ALIKE)
    from benchmarks.rounds import flower
    from evaluation.demo.plane import serving
    from evaluation.federation.plan import FULL

    plan = replace(FULL, local=replace(FULL.local, epochs=epochs))
    with tempfile.TemporaryDirectory(prefix="ztfm-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with serving(folder) as plane_when_ready:
            rounds, about = flower.measure(folder, plane_when_ready(), plan, UNMEASURED + pairs)
    return {**figures(rounds, unmeasured=UNMEASURED), **about, "local_epochs": epochs}


def measure_nvflare(pairs: int, epochs: int) -> dict[str, Any]:
    """Return the figures of so many pairs of rounds with NVFLARE.

    Args:
        pairs: that count.
        epochs: of a device's training in one round.

    Raises:
        FileNotFoundError: NVFLARE's environment was not made.
        subprocess.CalledProcessError: the run failed; why is on standard error.
    """
    if not NVFLARE.exists():
        raise FileNotFoundError(f"no {NVFLARE}: make it with 'python -m tests.backends.environments nvflare'")
    quieten()
    from evaluation.demo.fleet import enrolled
    from evaluation.demo.plane import serving
    from evaluation.smart_home.task import load_task

    with tempfile.TemporaryDirectory(prefix="ztfm-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with serving(folder) as plane_when_ready:
            task = load_task(0, folder / "trunk")
            enrolled(plane_when_ready(), folder / "parties", task.devices)
            command = [str(NVFLARE), "-c", "from benchmarks.rounds.nvflare import main; main()", str(folder)]
            command += [str(2 * (UNMEASURED + pairs)), str(epochs)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        rounds = [Timed(**one) for one in json.loads(done.stdout.splitlines()[-1])]
    found = figures(rounds, unmeasured=UNMEASURED)
    # NVFLARE's controller does not tell its parts apart.
    whole = {name: value for name, value in found.items() if not name.endswith("parts_s")}
    return {**whole, "clients": task.devices, "processes": task.devices, "local_epochs": epochs}


BACKENDS = {"flower": measure_flower, "nvflare": measure_nvflare}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=BACKENDS, default="flower", help="NVFLARE needs an environment of its own")
    parser.add_argument("--pairs", type=int, default=9, help="of an unguarded round and a guarded one")
    parser.add_argument("--epochs", type=int, default=1, help="of a device in a round; the demo's is 1")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    found = {"backend": given.backend, **BACKENDS[given.backend](given.pairs, given.epochs)}
    found["machine"] = {
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    print(json.dumps(found) if given.json else "\n".join(f"{name:20} {value}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
