"""The rows as a document."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation.coverage.figures import DOCS, NOT_MEASURED, Figure, find
from evaluation.coverage.thing import Thing

_HEAD = """# What the paper names, and what there is

[Zero-Trust Foundation Models](https://arxiv.org/abs/2505.23792) proposes, and measures nothing. Here is each thing that
it names: what this system does about it, which policies decide it, the tests that show it, what it costs and what it
gains. Figures are read from the pages that they stand on, which say under which conditions they hold, and where this
system loses.

```sh
.venv/bin/python -m evaluation.coverage --document docs/ztfm-coverage.md    # writes this page
.venv/bin/python -m evaluation.coverage --json
```
"""


def document(parts: Mapping[str, Sequence[Thing]], docs: Path = DOCS) -> str:
    """Return the page.

    Raises:
        NoSuchFigure: a figure does not stand where its row says.
    """
    return "\n".join([_HEAD, _overview(parts, docs), *(_part(name, things, docs) for name, things in parts.items())])


def _overview(parts: Mapping[str, Sequence[Thing]], docs: Path) -> str:
    rows = ["| the paper names | policies | cost | gain |", "|---|---|---|---|"]
    for things in parts.values():
        rows += [
            f"| [{thing.name}](#{_anchor(thing.name)}) | {_packages(thing)} | {_short(thing.cost, docs)} | "
            f"{_short(thing.gain, docs)} |"
            for thing in things
        ]
    return "\n".join([*rows, ""])


def _short(figures: Sequence[Figure], docs: Path) -> str:
    shown = [f"{figure.what}: {_value(figure, docs)}" for figure in figures]
    return "; ".join(shown) or NOT_MEASURED


def _part(name: str, things: Sequence[Thing], docs: Path) -> str:
    return "\n".join([f"## {name}", "", *(_section(thing, docs) for thing in things)])


def _section(thing: Thing, docs: Path) -> str:
    pages = ", ".join(f"[{_title(page)}]({page})" for page in thing.pages)
    lines = [f"### {thing.name}", "", f"{thing.does}{' ' + thing.lacks if thing.lacks else ''}", ""]
    lines += [f"- Pages: {pages}", f"- Policies: {_packages(thing)}", f"- Tests: {_tests(thing)}", ""]
    figures = [("cost", one) for one in thing.cost] + [("gain", one) for one in thing.gain]
    for kind in ("cost", "gain"):
        if not getattr(thing, kind):
            lines += [f"Its {kind} is {NOT_MEASURED}.", ""]
    if figures:
        lines += ["| | figure | value | measured by | stands in |", "|---|---|---|---|---|"]
        lines += [_row(kind, figure, docs) for kind, figure in figures]
        lines += [""]
    return "\n".join(lines)


def _row(kind: str, figure: Figure, docs: Path) -> str:
    found = find(figure, docs)
    page = f"[{_title(figure.page)}]({figure.page})"
    return f"| {kind} | {figure.what} | {found.value or NOT_MEASURED} | `{found.command}` | {page} |"


def _value(figure: Figure, docs: Path) -> str:
    return find(figure, docs).value or NOT_MEASURED


def _packages(thing: Thing) -> str:
    return ", ".join(f"[`ztfm.{name}`](../policies/ztfm/{name})" for name in thing.policies) or "none"


def _tests(thing: Thing) -> str:
    return ", ".join(f"[`{path.rpartition('/')[2]}`](../{path})" for path in thing.tests)


def _title(page: str) -> str:
    name, _, anchor = page.partition("#")
    return (anchor or name.removesuffix(".md")).replace("-", " ")


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")
