"""What the paper names, and what there is: ``python -m evaluation.coverage --document docs/ztfm-coverage.md``.

Without ``--document`` it prints the page. Nothing is measured: figures are read from the pages that they stand on.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.coverage.document import document
from evaluation.coverage.figures import Figure, NoSuchFigure, find
from evaluation.coverage.thing import Thing
from evaluation.coverage.things import PARTS

EXAMPLE = "example: python -m evaluation.coverage --document docs/ztfm-coverage.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or print, what the command line asks for; 1 where a figure does not stand where its row says."""
    options = _parser().parse_args(arguments)
    try:
        page = document(PARTS)
        rows = [_row(thing) for things in PARTS.values() for thing in things]
    except NoSuchFigure as lost:
        print(lost, file=sys.stderr)
        return 1
    if options.document:
        options.document.write_text(page)
    if options.json:
        print(json.dumps({"things": rows}))
    elif not options.document:
        print(page, end="")
    return 0


def _row(thing: Thing) -> dict[str, Any]:
    figures = {"cost": [_figure(one) for one in thing.cost], "gain": [_figure(one) for one in thing.gain]}
    return asdict(thing) | figures


def _figure(figure: Figure) -> dict[str, Any]:
    return {"what": figure.what, "page": figure.page} | asdict(find(figure))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.coverage", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--document", type=Path, help="write the page there")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a page")
    return parser


if __name__ == "__main__":
    sys.exit(main())
