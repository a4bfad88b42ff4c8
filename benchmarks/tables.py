"""Tables of results: in the terminal, and between the markers of a document.

A table between ``<!-- name -->`` and ``<!-- /name -->`` is known by its first column. A row whose result is at hand is
written anew; every other row stays as it is, and so does the whole table when no row is.
"""

import re
from collections.abc import Mapping, Sequence

from benchmarks.described import Benchmark, Figure
from benchmarks.registry import BENCHMARKS
from benchmarks.results import Result

Row = Sequence[str]


def number(value: float) -> str:
    """Return a number with three digits that count, or whole with its thousands told apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}" if value else "0"


def overview(measured: Mapping[str, Result], benchmarks: Sequence[Benchmark] = BENCHMARKS) -> list[Row]:
    """Return a row for every bar: what is promised, the bar, what was measured, whether it is met, the command.

    What is not among ``measured`` has no figure, and says so.
    """
    return [
        (figure.what, figure.bar, *_standing(benchmark, figure, measured), f"`{benchmark.shown()}`")
        for benchmark in benchmarks
        for figure in benchmark.figures
        if figure.is_promised
    ]


_QUIET_SHARE = 0.5
"""Where more of a machine than this was busy before a benchmark began, its row says so."""


def _standing(benchmark: Benchmark, figure: Figure, measured: Mapping[str, Result]) -> tuple[str, str]:
    result = measured.get(benchmark.name)
    if result is None:
        return "", "not measured"
    value = result.value(figure.path)
    verdict = figure.verdict(value)
    is_busy = result.load_before > _QUIET_SHARE * (result.machine.get("cpus") or 1)
    busy = f", load {result.load_before:.1f} before it" if is_busy else ""
    return number(value), (verdict if verdict == "met" else f"**{verdict}**") + busy


def terminal(results: Sequence[Result], benchmarks: Sequence[Benchmark]) -> str:
    """Return every figure beside its bar, and what could not be measured with the reason."""
    found = {result.name: result for result in results}
    rows: list[Row] = [("benchmark", "figure", "bar", "measured", "")]
    for benchmark in benchmarks:
        result = found.get(benchmark.name)
        if result is None or result.status != "measured":
            status, reason = (result.status, result.reason) if result else ("missing", "it was not run")
            rows.append((benchmark.name, reason.splitlines()[-1] if reason else "", "", "", status))
            continue
        for figure in benchmark.figures:
            value = result.value(figure.path)
            verdict = figure.verdict(value)
            rows.append((benchmark.name, figure.what, figure.bar, number(value), verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def between(document: str, name: str, header: Row, rows: Sequence[Row], whole: Sequence[Row] = ()) -> str:
    """Return a document with the table of a name written anew, as far as there are rows for it.

    Args:
        document: its text.
        name: of the markers.
        header: of the table. Rows of another width that stand there go.
        rows: known by their first cells.
        whole: all rows that the table is to have, in order, as they are where neither ``rows`` nor the table has them;
            none for whatever rows there are.

    Raises:
        ValueError: the document has no such markers.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, opened, rest = document.partition(start)
    table, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"the document has no {start} ... {end} for this table")
    if not rows and not whole:
        return document
    stood = {row[0]: row for row in _rows(table) if len(row) == len(header)}
    # Later ones win, and each stays where its name stood first.
    found = {**stood, **{row[0]: row for row in rows}}
    if whole:
        found = {row[0]: found.get(row[0], row) for row in whole}
    lines = [_line(header), "|---" * len(header) + "|", *map(_line, found.values())]
    return f"{before}{start}\n" + "\n".join(lines) + f"\n{end}{after}"


def _line(row: Row) -> str:
    return f"| {' | '.join(row)} |"


def _rows(table: str) -> list[Row]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])] for line in lines[2:]]
