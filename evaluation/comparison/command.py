"""What ``ztfm evaluate`` and ``python -m evaluation.comparison`` do once they know their options."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

from controlplane.sidecar.errors import BundleError
from evaluation.activity.recordings import load_recordings
from evaluation.activity.wheel import RecordingsError
from evaluation.comparison import store
from evaluation.comparison.catalogue import Catalogued
from evaluation.comparison.cells import NATURAL, Cell
from evaluation.comparison.grids import Grid
from evaluation.comparison.layers import OWN
from evaluation.comparison.planned import GRIDS, cost
from evaluation.comparison.progress import Progress, in_words
from evaluation.comparison.results import Result
from evaluation.comparison.running import Comparison, Failed
from evaluation.comparison.standard import catalogue
from evaluation.comparison.tasks import ACTIVITY, RECORDINGS
from evaluation.demo.environment import quieten
from evaluation.report.document import NoMarks, write_blocks
from evaluation.report.page import write_page
from evaluation.report.words import Findings

FOLDER = Path(".cache/comparison")
REPORT = Path("reports/evaluation.html")
DOCUMENT = Path("docs/evaluation.md")


@dataclass(frozen=True)
class Options:
    """What a call asks for.

    Attributes:
        quick: the smaller grid, of shorter federations.
        tasks: of the grid; none for all.
        attacks: likewise.
        defences: likewise.
        seeds: instead of the grid's.
        skews: instead of the grid's; none among them for data as they came about.
        shares: instead of the grid's.
        policies: folder of an author's own, tried beside the others.
        processes: how many federations at the same time.
        folder: where results are kept.
        report: where the HTML report goes.
        document: whose blocks are written anew; none for no document.
        only_report: run nothing, and report what there is.
    """

    quick: bool = False
    tasks: Sequence[str] = ()
    attacks: Sequence[str] = ()
    defences: Sequence[str] = ()
    seeds: Sequence[int] = ()
    skews: Sequence[float | None] = ()
    shares: Sequence[float] = ()
    policies: Path | None = None
    processes: int = 2
    folder: Path = FOLDER
    report: Path = REPORT
    document: Path | None = None
    only_report: bool = False

    @property
    def called(self) -> str:
        """The beginning of a command that finds the same of a cell."""
        own = "" if self.policies is None else f" --policies {quote(str(self.policies))}"
        return "ztfm evaluate" + (" --quick" if self.quick else "") + own

    @property
    def command(self) -> str:
        """That asks for the same again."""
        words = [self.called]
        for name, values in (
            ("task", self.tasks),
            ("attack", self.attacks),
            ("defence", self.defences),
            ("seeds", self.seeds),
            ("skew", [NATURAL if skew is None else f"{skew:g}" for skew in self.skews]),
            ("share", [f"{share:g}" for share in self.shares]),
        ):
            words += [f"--{name} {value}" for value in values]
        return " ".join(words)


def run(options: Options) -> tuple[str, dict[str, Any]]:
    """Run what is missing, write tables, report and document, and return the figures, or what kept it from running.

    Args:
        options: what to run.

    Raises:
        KeyboardInterrupt: what was run by then is kept, and the next call goes on from there.
    """
    quieten()
    try:
        if options.policies is not None and not options.policies.is_dir():
            return f"{options.policies} is no folder of policies", {}
        catalogued: Catalogued = partial(catalogue, options.policies)
        comparison = Comparison(options.folder, "quick" if options.quick else "full", catalogued)
        unknown = _unknown(options, comparison)
        if unknown:
            return unknown, {}
        cells = wanted(options).cells()
        failed = [] if options.only_report else _complete(comparison, cells, options.processes)
        found = _written(options, comparison.shelf.found(cells), comparison, len(cells))
        return "", {**found, "failed": [{"cell": str(one.cell), "fault": one.fault} for one in failed]}
    except (BundleError, RecordingsError, NoMarks, OSError) as error:
        return str(error), {}


def wanted(options: Options) -> Grid:
    """The grid that a call asks for."""
    grid = GRIDS["quick" if options.quick else "full"]
    if options.skews or options.shares:
        blocks = [
            replace(block, skews=options.skews or block.skews, shares=options.shares or block.shares)
            for block in grid.blocks
        ]
        grid = replace(grid, blocks=blocks)
    if options.policies is not None and OWN not in options.defences:
        grid = grid.joined(OWN)
        defences = (*options.defences, OWN) if options.defences else ()
    else:
        defences = tuple(options.defences)
    return grid.only(options.tasks, options.attacks, defences, options.seeds)


def _unknown(options: Options, comparison: Comparison) -> str:
    known = comparison.catalogue
    for what, asked, there in (
        ("task", options.tasks, known.tasks),
        ("attack", options.attacks, known.attacks),
        ("defence", options.defences, known.defences),
    ):
        strangers = [name for name in asked if name not in there]
        if OWN in strangers:
            return "the defence 'policies' needs a folder: name it with --policies FOLDER"
        if strangers:
            return f"no {what} is called {', '.join(strangers)}; there are: {', '.join(there)}"
    return ""


def _complete(comparison: Comparison, cells: Sequence[Cell], processes: int) -> list[Failed]:
    missing = comparison.missing(cells)
    if not missing:
        return []
    if any(cell.task == ACTIVITY for cell in missing):
        # Fetched before processes are: a network that does not answer should come to light at once.
        load_recordings(RECORDINGS)
    costs = {cell: cost(comparison.size, cell.task, cell.defence) for cell in missing}
    progress = Progress(sum(costs.values()), len(missing), sys.stderr)
    print(
        f"{len(cells) - len(missing)} of {len(cells)} federations are there already; {len(missing)} to run, about "
        f"{progress.expected(processes)} on {processes} idle cores. Ctrl-C stops; the same command goes on.",
        file=sys.stderr,
        flush=True,
    )
    failed: list[Failed] = []

    def told_of(one: Result | Failed) -> None:
        if isinstance(one, Failed):
            failed.append(one)
        words = one.fault if isinstance(one, Failed) else in_words(one)
        progress.told(one.cell, costs[one.cell], words)

    comparison.run(missing, processes, told_of)
    return failed


def _written(options: Options, results: dict[Cell, Result], comparison: Comparison, count: int) -> dict[str, Any]:
    found = Findings.of(results, comparison.catalogue, count, options.command, options.called)
    lines = [row.to_json() for row in found.rows]
    files = store.write(options.folder / "tables" / comparison.size, lines)
    if len(files) == 1:
        print(f"ztfm evaluate: {store.MISSING}", file=sys.stderr)
    write_page(found, options.report)
    if options.document is not None:
        write_blocks(options.document, found)
    return {
        "cells": lines,
        "wanted": count,
        "misses": [
            {"cell": str(miss.summary.cell), "target": miss.target, "found": miss.found} for miss in found.misses
        ],
        "tables": [str(file) for file in files],
        "report": str(options.report),
        "command": options.command,
    }


def skew(word: str) -> float | None:
    """A skew as command lines have it.

    Raises:
        ValueError: it is neither a number above 0 nor ``natural``.
    """
    if word == NATURAL:
        return None
    value = float(word)
    if not value > 0.0:
        raise ValueError(f"a skew is above 0, or {NATURAL}; {word} is not")
    return value


def told(found: dict[str, Any], is_json: bool) -> str:
    """What standard output is told."""
    if is_json:
        return json.dumps(found)
    misses = [f"MISS  {one['cell']}: {one['target']}; found {one['found']}" for one in found["misses"]]
    return "\n".join(
        (
            *misses,
            *(f"FAILED  {one['cell']}: {one['fault']}" for one in found["failed"]),
            f"{len(found['cells'])} of {found['wanted']} cells, {len(misses)} targets missed",
            *(f"table: {file}" for file in found["tables"]),
            f"report: {Path(found['report']).resolve()}",
        )
    )
