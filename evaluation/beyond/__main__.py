"""Attacks beyond updates, against a real control plane: ``python -m evaluation.beyond --quick --json``.

Each is tried with the protection that is to stop it, and without it. Nothing leaves this machine.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from controlplane.telemetry.logs import configure_logs
from evaluation.beyond.sizes import FULL, QUICK
from evaluation.beyond.table import table, write
from evaluation.beyond.trying import ATTACKS, tried
from evaluation.demo.environment import quieten

EXAMPLE = "example: python -m evaluation.beyond --attacks key-theft prompt-flooding --quick --json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what the command line asks for, and show what came of it."""
    options = _parser().parse_args(arguments)
    quieten()
    configure_logs("critical")
    torch.set_num_threads(1)
    sizes = QUICK if options.quick else FULL
    found = tried(options.attacks, sizes, lambda name: print(f"{name} ...", file=sys.stderr))
    if options.document:
        write(options.document, found)
    if options.json:
        print(json.dumps({"attempts": [attempt.to_json() for attempt in found]}))
    else:
        print(table(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.beyond", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=list(ATTACKS), metavar="ATTACK")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--document", type=Path, help="put the table between the marks of this file")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
