"""How ``ztfm policy check`` and ``test`` show what is wrong."""

from collections.abc import Sequence

import typer

from controlplane.authoring import Finding, PolicyFolder, Results
from controlplane.cli.policy_explained import shown


def show_findings(folder: PolicyFolder, findings: Sequence[Finding]) -> None:
    """Print findings for people, each with its place and its remedy."""
    for item in findings:
        typer.echo(f"{place(folder, item)}: {item.check}: {item.message}\n    {item.remedy}")


def place(folder: PolicyFolder, item: Finding) -> str:
    """Return ``file:line`` as it is named from here."""
    return f"{shown(folder.root / item.file)}:{item.line}"


def located(folder: PolicyFolder, findings: Sequence[Finding]) -> list[dict[str, object]]:
    """Return findings for JSON, with whole paths."""
    named = ("file", "line", "check", "message", "remedy")
    return [
        {**{name: getattr(item, name) for name in named}, "file": str(folder.root / item.file)} for item in findings
    ]


def tested_document(folder: PolicyFolder, tested: Results) -> dict[str, object]:
    """Return what came of tests, for JSON."""
    told = {"tests": tested.tests, "examples": tested.examples, "coverage": tested.coverage}
    return {**told, "findings": located(folder, tested.findings)}


def tested_line(tested: Results) -> str:
    """Return how many tests and examples ran, and what they cover."""
    least = min(tested.coverage.values(), default=None)
    covered = f", coverage at least {least:.0%}" if least is not None else ""
    return f"{counted(tested.tests, 'test')}, {counted(tested.examples, 'example')}{covered}"


def counted(number: int, what: str) -> str:
    """Return ``1 finding`` or ``2 findings``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def undone(skipped: dict[str, str]) -> str:
    """Return which checks could not be done, and why; empty when none."""
    return "".join(f"; not done: {name} ({why})" for name, why in skipped.items())
