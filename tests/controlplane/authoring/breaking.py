"""Break a copy of the policies in one place, and find that place again."""

from pathlib import Path

from controlplane.authoring import Finding, PolicyFolder

INFERENCE = "ztfm/inference/policy.rego"
ONE = "ztfm/one/policy.rego"
"""Of the two small packages: where nothing of the product's policies matters, OPA reads a tenth."""


def replace(folder: PolicyFolder, name: str, old: str, new: str) -> None:
    """Replace a text of a file; it must be there."""
    path = folder.root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def append(folder: PolicyFolder, name: str, text: str) -> int:
    """Add a text at the end of a file, and return the line that it begins on."""
    path = folder.root / name
    line = len(path.read_text().splitlines()) + 1
    path.write_text(path.read_text() + text)
    return line


def places(findings: list[Finding]) -> set[tuple[str, int]]:
    """Return where findings are."""
    return {(item.file, item.line) for item in findings}


def write(path: Path, text: str) -> None:
    """Write a file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
