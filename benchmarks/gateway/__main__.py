"""What a gateway adds: ``python -m benchmarks.gateway --json``.

Each proxy runs twice: with the configuration under ``examples/gateway`` and the authorizer beside it, and bare, with
the same configuration less the check. The control plane, the capabilities and the proofs are real; the model server is
an nginx that answers at once. ``added_p50_ms`` is the difference of the median latencies of the same requests over one
connection to each, twenty to one and twenty to the other, in the tenth of these blocks in which other work disturbed
least; ``ratio_rps`` compares the requests a second under load. Of all proxies together the worst is told.
``added_cpu_us`` is processor time, which other work on the machine moves least; where the load of the machine is far
above its processors, latencies tell of that instead.

``own`` is the proxy of our own with stand-ins for budgets and for the look at contents, against a bare one of the same
library. ``own-whole`` is all of it, with a decision of the control plane on each prompt and on each answer: it is
measured with a tenth of the requests, over one connection, and is not in what is told of all together.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gateway.cast import ProgramMissing, cast
from benchmarks.gateway.measuring import Figures, Size, compared
from benchmarks.gateway.proxies import OWN_WHOLE, PROXIES, USUAL

BAR_MS = 1.0
"""A check adds less to the median latency."""


async def measure(names: Sequence[str], size: Size, folder: Path) -> dict[str, Figures]:
    """Measure proxies one after the other.

    Args:
        names: of the proxies.
        size: how much is measured.
        folder: for what is written.

    Raises:
        ProgramMissing: a proxy is not installed.
        RuntimeError: a request did not pass.
    """
    found = {}
    async with cast(folder) as everybody:
        # Last the one that reports how devices use the model: who asks the same a thousand times is soon set apart.
        for name in sorted(names, key=lambda name: name == OWN_WHOLE.name):
            with PROXIES[name].sides(everybody, folder / name) as (bare, checked):
                much = size if name != OWN_WHOLE.name else size.part(10)
                found[name] = await compared(bare, checked, everybody.callers.requests, much)
    return found


def summary(found: Mapping[str, Figures], size: Size) -> dict[str, Any]:
    """Return the worst of all checks, whether the bar is held, and each proxy's figures."""
    checked = [one for name, one in found.items() if name != OWN_WHOLE.name] or list(found.values())
    added = max(one.added_p50_ms for one in checked)
    return {
        "added_p50_ms": added,
        "ratio_rps": min(one.ratio_rps for one in checked),
        "added_cpu_us": max(one.added_cpu_us for one in checked),
        "bar_ms": BAR_MS,
        "within_bar": added < BAR_MS,
        "proxies": {name: asdict(one) for name, one in found.items()},
        "size": asdict(size),
        "machine": {
            "cpus": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line, and return the exit status: 1 with a message where a proxy is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gateway",
        description=__doc__,
        epilog="example: python -m benchmarks.gateway --proxy nginx --proxy own --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--proxy",
        action="append",
        choices=sorted(PROXIES),
        help=f"this one; several times for more ({', '.join(USUAL)})",
    )
    parser.add_argument(
        "--requests", type=int, default=300, help="one after the other, to each side in each turn (300)"
    )
    parser.add_argument("--load", type=int, default=1000, help="in each turn under load, to each side (1000)")
    parser.add_argument("--connections", type=int, default=16, help="that load comes over (16)")
    parser.add_argument("--turns", type=int, default=5, help="of either (5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    size = Size(given.requests, given.load, given.connections, given.turns)
    with tempfile.TemporaryDirectory(prefix="ztfm-gateway-") as folder:
        try:
            found = summary(asyncio.run(measure(given.proxy or USUAL, size, Path(folder))), size)
        except ProgramMissing as missing:
            print(missing, file=sys.stderr)
            return 1
    if given.json:
        print(json.dumps(found))
        return 0
    for name, figures in found["proxies"].items():
        print(name, *(f"{key} {value}" for key, value in figures.items()), sep="\n  ")
    worst = " ".join(f"{name} {found[name]}" for name in ("added_p50_ms", "ratio_rps", "added_cpu_us"))
    print(f"worst: {worst}; the bar is {BAR_MS} ms; load of the machine {found['machine']['load']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
