"""``--watch``: after each save what broke, with its remedy; what is whole again; in a line each, what is still so."""

import json
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import typer

from controlplane.authoring import AuthoringError, Finding, PolicyFolder, Tools
from controlplane.authoring.rechecking import Difference, Rechecker
from controlplane.authoring.retesting import Retester
from controlplane.authoring.watching import changes, snapshot
from controlplane.cli.policy_findings import (
    counted,
    located,
    place,
    show_findings,
    tested_document,
    tested_line,
    undone,
)

Changed = list[Path]


def watch_checks(tools: Tools, folder: PolicyFolder, *, lint: bool, as_json: bool) -> None:
    """Check, and again whenever a file changes, until Ctrl-C."""
    checker = Rechecker(tools, folder, lint=lint)

    def once(changed: Changed) -> None:
        begun = time.monotonic()
        told = checker.run(changed, (lambda _: None) if as_json else partial(_tell, folder))
        if as_json:
            typer.echo(json.dumps({**_document(folder, told), "skipped": checker.skipped}))
            return
        typer.echo(f"{_summary(told, begun)}{undone(checker.skipped)}")

    _watch("check", folder, once)


def watch_tests(tools: Tools, folder: PolicyFolder, *, as_json: bool) -> None:
    """Test, and whenever a file changes the tests that it can affect and then all, until Ctrl-C."""
    tester = Retester(tools, folder)

    def once(changed: Changed) -> None:
        begun = time.monotonic()
        first = tester.run_affected(changed) if changed else None
        if first is not None:
            if as_json:
                typer.echo(json.dumps({**_document(folder, first), "all": False}))
            else:
                _tell(folder, first)
                typer.echo(f"affected tests: {_summary(first, begun)}; then all")
        tested, told = tester.run()
        if as_json:
            typer.echo(json.dumps({**tested_document(folder, tested), **_document(folder, told), "all": True}))
            return
        _tell(folder, told, () if first is None else first.found)
        typer.echo(f"{tested_line(tested)}: {_summary(told, begun)}")

    _watch("test", folder, once)


def _watch(command: str, folder: PolicyFolder, once: Callable[[Changed], None]) -> None:
    seen = snapshot(folder.root)
    try:
        _try(command, once, [])
        for paths in changes(folder.root, seen):
            changed = [path.relative_to(folder.root) for path in paths]
            typer.echo(f"\nchanged: {', '.join(path.as_posix() for path in changed)}", err=True)
            _try(command, once, changed)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _try(command: str, once: Callable[[Changed], None], changed: Changed) -> None:
    try:
        once(changed)
    except AuthoringError as error:
        typer.echo(f"ztfm policy {command}: {error}", err=True)


def _document(folder: PolicyFolder, told: Difference) -> dict[str, object]:
    parts = {"findings": told.found, "new": told.new, "gone": told.gone}
    return {name: located(folder, some) for name, some in parts.items()}


def _tell(folder: PolicyFolder, told: Difference, but: Collection[Finding] = ()) -> None:
    """Print what is new, gone and still so, less what was told a moment ago. An editor reads the lines that stay."""
    for item in told.gone:
        typer.echo(f"whole again: {place(folder, item)}: {item.check}: {item.message}")
    show_findings(folder, [item for item in told.new if item not in but])
    for item in told.found:
        if item not in told.new and item not in but:
            typer.echo(f"{place(folder, item)}: {item.check}: {item.message}")


def _summary(told: Difference, begun: float) -> str:
    new = f", {len(told.new)} new" if told.new and len(told.new) < len(told.found) else ""
    return f"{counted(len(told.found), 'finding')} in {time.monotonic() - begun:.2f} s{new}"
