"""The control plane beside other engines with the same policy: ``python -m benchmarks.peers``.

They are Cerbos, OpenFGA, Topaz and raw OPA. The policy is one of roles and attributes: a role grants an action, and
segment, sensitivity, trust and a time window have to fit. Each engine first answers the same 200 random questions, and
one that answers any of them otherwise is not timed. Then each is asked the same over as many connections, one engine
after the other, by HTTP/1.1; Cerbos and OpenFGA also speak gRPC, which is not measured. Peers are asked over plain TCP,
without knowing who asks and without a record of the answer. Ours knows the caller by mutual TLS and records every
decision on disk.

Peers are built from Go modules, once, which takes minutes. One that cannot be built or started is named with the
reason.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.peers.engine import NotThere
from benchmarks.peers.measuring import CHECKED, Contestant, Size, compared, contestants


async def measure(chosen: dict[str, Contestant], size: Size) -> dict[str, Any]:
    """Measure engines one after the other; return figures by name, and ``table`` with what came of each."""
    figures: dict[str, Any] = {}
    table = []
    with tempfile.TemporaryDirectory(prefix="ztfm-peers-") as folder:
        for name, contestant in chosen.items():
            row = {"name": name, "title": contestant.title, "status": "measured", "reason": ""}
            try:
                (Path(folder) / name).mkdir()
                figures[name] = asdict(await compared(contestant.start, Path(folder) / name, size))
            except NotThere as missing:
                row |= {"status": "not measured", "reason": str(missing)}
            table.append(row)
            print(f"{contestant.title}: {row['reason'] or row['status']}", file=sys.stderr, flush=True)
    return {**figures, "table": table, "checked": CHECKED, **asdict(size)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        epilog="example: python -m benchmarks.peers --engine opa --engine ours --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    everybody = contestants()
    parser.add_argument("--engine", action="append", choices=everybody, help="this one; several times for more (all)")
    parser.add_argument("--runs", type=int, default=3, help="of each engine; medians are told (3)")
    parser.add_argument("--requests", type=int, default=6000, help="in each run (6000)")
    parser.add_argument("--connections", type=int, default=64, help="over which they come (64)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    chosen = {name: one for name, one in everybody.items() if not given.engine or name in given.engine}
    found = uvloop.run(measure(chosen, Size(given.requests, given.connections, given.runs)))
    if given.json:
        print(json.dumps(found))
        return 0
    for row in found["table"]:
        shown = " ".join(f"{name} {value:g}" for name, value in found.get(row["name"], {}).items())
        print(f"{row['title']:45} {shown or row['reason']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
