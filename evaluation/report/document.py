"""The generated parts of a Markdown document: what is between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from evaluation.comparison.catalogue import Catalogue
from evaluation.comparison.rows import Summary, by_field
from evaluation.report.hardening import hardening
from evaluation.report.tables import FIGURES, Table, costs, defences, matrix, missed, parts, tried
from evaluation.report.words import NOT_RUN, Findings


class NoMarks(ValueError):  # noqa: N818 - a state, as callers see it
    """The document lacks the marks of a block; the message names file and marks."""


def write_blocks(path: Path, found: Findings) -> None:
    """Write every block of a document anew and leave the rest as it is.

    Raises:
        NoMarks: it lacks the marks of a block, so that nothing was written.
        OSError: it cannot be read or written.
    """
    text = path.read_text(encoding="utf-8")
    for name, block in BLOCKS.items():
        text = between(text, name, block(found) if found.rows else f"*{NOT_RUN}*", path)
    path.write_text(text, encoding="utf-8")


def between(text: str, name: str, block: str, path: Path) -> str:
    """``text`` with ``block`` between the marks of ``name``.

    Raises:
        NoMarks: they are not there, in this order.
    """
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(opening)
    _, ended, after = rest.partition(closing)
    if not found or not ended:
        raise NoMarks(f"{path} has no {opening} before a {closing}: put both where the block belongs")
    return f"{before}{opening}\n{block}\n{closing}{after}"


def markdown(table: Table) -> str:
    """A table as Markdown."""
    lines = (table.heads, ["---"] * len(table.heads), *table.lines)
    return "\n".join("| " + " | ".join(word.replace("|", "\\|") for word in line) + " |" for line in lines)


def _summary(found: Findings) -> str:
    return f"{found.counted} {found.cost} Made by:\n\n```sh\n{found.command}\n```"


def _misses(found: Findings) -> str:
    return markdown(missed(found.misses, found.catalogue)) if found.misses else "None of the cells that were run."


def _defences(found: Findings) -> str:
    return _parted(found, defences)


def _costs(found: Findings) -> str:
    return _parted(found, costs)


def _hardening(found: Findings) -> str:
    read = hardening()
    return f"{markdown(read[0])}\n\nMade by `{read[1]}`." if read else f"*{NOT_RUN}*"


def _attacks(found: Findings) -> str:
    return _sections(
        (title, matrix(group, FIGURES["points of accuracy lost"], found.catalogue))
        for title, group in by_field(found.summaries)
    )


def _parted(found: Findings, made: Callable[[Sequence[Summary], Catalogue], Table]) -> str:
    return _sections(
        (f"{title}; means over {tried(part, found.catalogue)}", made(part, found.catalogue))
        for title, group in by_field(found.summaries)
        for part in parts(group)
    )


def _sections(tables: Iterable[tuple[str, Table]]) -> str:
    found = [f"**{title}**\n\n{markdown(table)}" for title, table in tables if table.lines]
    return "\n\n".join(found) or f"*{NOT_RUN}*"


BLOCKS: Mapping[str, Callable[[Findings], str]] = {
    "summary": _summary,
    "misses": _misses,
    "defences": _defences,
    "costs": _costs,
    "hardening": _hardening,
    "attacks": _attacks,
}
"""By name, what makes each block of a document."""
