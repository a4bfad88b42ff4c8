"""The attack matrix: ``python -m evaluation.trust --skews 0.5 --seeds 0 1 --attacks backdoor sybil``.

What was run before with the same code and policies is not run again. At the end all of it is shown.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.demo.environment import quieten
from evaluation.federation.plan import FULL, QUICK
from evaluation.trust.progress import Progress
from evaluation.trust.results import Cell
from evaluation.trust.rows import rows
from evaluation.trust.running import Matrix
from evaluation.trust.scenarios import BY_NAME, CLEAN, SKEWS
from evaluation.trust.table import cells as table_of_cells
from evaluation.trust.table import document, write_between_marks

SEEDS = (0, 1, 2)
PROCESSES = 2
FOLDER = Path(".cache/trust")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing of the matrix and show all of it; 1 where a bar was missed."""
    options = _parser().parse_args(arguments)
    quieten()
    plan, size = (QUICK, "quick") if options.quick else (FULL, "full")
    matrix = Matrix.here(options.folder / size, plan)
    cells = [
        Cell(scenario=name, skew=skew, seed=seed)
        for skew in options.skews
        for name in dict.fromkeys((CLEAN, *options.attacks))
        for seed in options.seeds
    ]
    units = matrix.missing(cells)
    if units:
        matrix.run(units, options.processes, Progress(len(units), sys.stderr).told)
    found = rows(matrix, cells)
    holds = all(row.bars.hold for row in found)
    if options.document:
        write_between_marks(options.document, document(found))
    if options.json:
        print(json.dumps({"holds": holds, "cells": [row.to_json() for row in found]}))
    else:
        print(table_of_cells(found))
    return 0 if holds else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.trust", description=__doc__)
    parser.add_argument("--attacks", nargs="+", choices=BY_NAME, default=list(BY_NAME), metavar="ATTACK")
    parser.add_argument("--skews", type=float, nargs="+", default=list(SKEWS), help="Dirichlet parameters")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--quick", action="store_true", help="half as many rounds on fewer sentences")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="cores to use")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where results are kept")
    parser.add_argument("--document", type=Path, help="put the tables between the marks of this file")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
