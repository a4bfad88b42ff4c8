"""Every figure that we promise, measured one after another: ``python -m benchmarks``.

Each benchmark runs in a process of its own, and leaves a file in ``reports/bench/`` with what it found, the command,
the machine, versions, the load before and after, and the date. At the end every figure stands beside its bar. It can
be stopped with Ctrl-C and gone on with by ``--resume``, which keeps what was measured since it was begun.

Ends with 0 when everything that was asked for was measured, whether or not the bars are met; 1 when something failed or
cannot be measured here; 2 when there is no benchmark of a name; 130 when it was stopped.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import documented, results, running
from benchmarks.described import Benchmark, Figure
from benchmarks.registry import BENCHMARKS, chosen
from benchmarks.results import Result
from benchmarks.running import Plan
from benchmarks.tables import terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or write the tables of a document, and return the exit status."""
    given = _parser().parse_args(arguments)
    if given.list:
        return _list(as_json=given.json)
    if given.document:
        return _document(given.document, given.folder)
    try:
        plan = _plan(given)
    except (KeyError, FileNotFoundError) as error:
        print(f"benchmarks: {error.args[0]}", file=sys.stderr)
        return 2
    try:
        found = running.run(plan, _said)
    except KeyboardInterrupt:
        _said(f"stopped; what was measured is in {plan.folder}. Go on: python -m benchmarks --resume")
        return 130
    print(_as_json(found, plan.benchmarks) if given.json else terminal(found, plan.benchmarks))
    lacking = [one for one in found if one.status != "measured"]
    for one in lacking:
        _said(f"{one.name} {one.status}: {one.reason}")
    return 1 if lacking else 0


def _plan(given: argparse.Namespace) -> Plan:
    if given.resume:
        begun = running.begun(given.folder)
        picks = given.names or begun["picks"]
        return Plan(chosen(picks), begun["runs"], begun["quick"], begun["at"], given.folder)
    benchmarks = chosen(given.names)
    running.begin(given.folder, given.names, given.runs, quick=given.quick)
    return Plan(benchmarks, given.runs, given.quick, None, given.folder)


def _list(*, as_json: bool) -> int:
    if as_json:
        print(json.dumps([{"name": one.name, "command": one.shown(), "lacks": one.lacks()} for one in BENCHMARKS]))
        return 0
    for one in BENCHMARKS:
        print(f"{one.name:22} {one.shown()}" + (f"\n{'':22} cannot run here: {one.lacks()}" if one.lacks() else ""))
    return 0


def _document(document: Path, folder: Path) -> int:
    try:
        written = documented.write(document, folder)
    except (OSError, ValueError) as error:
        print(f"benchmarks: {document}: {error}", file=sys.stderr)
        return 1
    print(f"{document}: {', '.join(written) or 'no table has a result at hand in full size'}")
    return 0


def _as_json(found: Sequence[Result], benchmarks: Sequence[Benchmark]) -> str:
    figures = {one.name: one.figures for one in benchmarks}
    return json.dumps([{**asdict(one), "figures": _figures(one, figures[one.name])} for one in found])


def _figures(result: Result, figures: Sequence[Figure]) -> list[dict[str, object]]:
    if result.status != "measured":
        return []
    values = [(one, result.value(one.path)) for one in figures]
    return [{**asdict(one), "value": value, "verdict": one.verdict(value)} for one, value in values]


def _said(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("once at least")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="examples: python -m benchmarks decisions gateway --runs 3\n"
        "          python -m benchmarks 'decisions*' --quick\n"
        "          python -m benchmarks --document docs/performance.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="benchmarks, or patterns such as 'decisions*'; all without one")
    parser.add_argument("--runs", type=_positive, default=1, help="of each command; the median of a figure counts (1)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--resume", action="store_true", help="go on with what was begun last, as it was begun")
    parser.add_argument("--json", action="store_true", help="print one JSON array, an object for each benchmark")
    parser.add_argument("--list", action="store_true", help="say which there are, their commands and what they lack")
    parser.add_argument("--folder", type=Path, default=results.FOLDER, help=f"for the results ({results.FOLDER})")
    parser.add_argument("--document", type=Path, help="measure nothing; write this document's tables from the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
