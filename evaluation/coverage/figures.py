"""Figures read from where they already stand: a cell of a page's table, with the command that the page gives for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOT_MEASURED = "not measured"
_TABLE = re.compile(r"(?:^\|.*\|$\n?)+", re.MULTILINE)
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`((?:\.venv/bin/)?python -m [^`]+)`")


class NoSuchFigure(LookupError):  # noqa: N818 - a state, as callers see it
    """A page has no such table, row or column; the message says which, and what to change."""


@dataclass(frozen=True)
class Figure:
    """Where a figure stands.

    Attributes:
        what: it is, with its unit.
        page: in ``docs``.
        under: text of the page that the table follows: its marker, or the heading or words before it.
        row: how its row begins, cells parted by `` | ``; of one row alone.
        column: heading of its column, or the column's number where a table has no headings.
    """

    what: str
    page: str
    under: str
    row: str
    column: str | int


@dataclass(frozen=True)
class Found:
    """A figure as its page has it.

    Attributes:
        value: the cell; empty where the page leaves it so.
        command: that measures it, as the page gives it.
    """

    value: str
    command: str


def find(figure: Figure, docs: Path = DOCS) -> Found:
    """Read a figure from its page.

    Raises:
        NoSuchFigure: the page has no such cell, or names no command for it.
    """
    text = (docs / figure.page).read_text()
    start = text.find(figure.under)
    table = _TABLE.search(text, start) if start >= 0 else None
    if table is None:
        raise NoSuchFigure(f"{_where(figure)}: no table follows {figure.under!r}; correct `under`")
    header, _, *rows = [_cells(line) for line in table[0].splitlines()]
    matching = [row for row in rows if " | ".join(row).startswith(figure.row)]
    if len(matching) != 1:
        raise NoSuchFigure(f"{_where(figure)}: {len(matching)} rows begin with {figure.row!r}; correct `row`")
    value = matching[0][_place(figure, header)]
    own = next((cell for cell in matching[0] if _INLINE.fullmatch(cell)), "")
    command = _command(own) or _command(text[: table.end()])
    if not command:
        raise NoSuchFigure(f"{_where(figure)}: no command stands before the table; say on the page what measures it")
    return Found(value, command)


def _where(figure: Figure) -> str:
    return f"docs/{figure.page}, {figure.what!r}"


def _place(figure: Figure, header: Sequence[str]) -> int:
    if isinstance(figure.column, int):
        return figure.column
    if header.count(figure.column) != 1:
        raise NoSuchFigure(f"{_where(figure)}: no one column is headed {figure.column!r}; correct `column`")
    return header.index(figure.column)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def _command(text: str) -> str:
    """The last command in a text that measures something; its first line where it is a block of them."""
    named = [(match.start(), match[1]) for match in _INLINE.finditer(text)]
    for block in _BLOCK.finditer(text):
        lines = [line for line in block[1].splitlines() if "python -m " in line]
        named += [(block.start(), lines[0])] if lines else []
    last = max(named, default=(0, ""))[1]
    return last.split("#")[0].strip().removeprefix(".venv/bin/")
