"""What a change of files can affect: which checks, and whose tests. What is not known is affected."""

import re
from collections.abc import Iterable
from pathlib import Path

from controlplane.authoring.folder import PolicyFolder

_REFERENCE = re.compile(r"\bdata\.(\w+(?:\.\w+)+)")
_PACKAGE = re.compile(r"^package\s+([\w.]+)", re.MULTILINE)

_OF_TESTS = {"compile", "format", "structure", "descriptions", "lint"}
_OF_DATA = {"compile", "data", "requirements", "answers", "examples"}
_OF_EXAMPLES = {"requirements", "answers", "examples"}
_OF_SCHEMAS = {"compile", "descriptions"}


def affected_checks(checks: Iterable[str], changed: Iterable[Path]) -> set[str]:
    """Return which of the checks could find something else after a change.

    Args:
        checks: their names.
        changed: files, relative to the policy folder.
    """
    checks, found = set(checks), set[str]()
    for path in changed:
        found |= checks & _checks_of(path, checks)
    return found


def _checks_of(path: Path, checks: set[str]) -> set[str]:
    if path.suffix == ".rego":
        return _OF_TESTS if path.name.endswith("_test.rego") else checks - {"data"}
    if path.parts[0] == "schemas":
        return _OF_SCHEMAS
    if "examples" in path.parts:
        return _OF_EXAMPLES
    if path.name.endswith(".schema.json"):
        return {"data"}
    if path.name == "data.json":
        return _OF_DATA
    return {"lint"} if path.parts[0] == ".regal" else checks


def affected_tests(folder: PolicyFolder, changed: Iterable[Path]) -> dict[Path, set[str]]:
    """Return the packages whose tests could end otherwise after a change, by the folder that they lie in.

    A package is affected when it, or one that it names, lies in a folder that changed, or names changed data. What
    tests name affects these tests, and not whoever names the rules that they are about.

    Args:
        folder: of the policies.
        changed: files, relative to it; other files than rules, tests and data affect no test.
    """
    packages, names = _read(folder)
    affected = {_part_of(path) for path in changed if path.suffix == ".rego" or path.name == "data.json"}
    is_growing = True
    while is_growing:
        more = {one for one, named in names.items() if any(_meets(a, b) for a in named for b in affected)} - affected
        affected |= more
        is_growing = bool(more)
    return {Path(*place.split(".")): some for place, some in packages.items() if {place, f"{place}_test"} & affected}


def _read(folder: PolicyFolder) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return the packages of each folder by its dotted path, and what rules and tests of it name, by their part."""
    packages: dict[str, set[str]] = {}
    names: dict[str, set[str]] = {}
    for path in folder.rego_files() + folder.rego_files(tests=True):
        part, text = path.relative_to(folder.root), path.read_text()
        packages.setdefault(_place_of(part), set()).update(_PACKAGE.findall(text))
        # Tests depend on the rules beside them, whether or not they name them.
        names.setdefault(_part_of(part), set()).update(_REFERENCE.findall(text), {_place_of(part)})
    return packages, names


def _place_of(path: Path) -> str:
    return ".".join(path.parent.parts)


def _part_of(path: Path) -> str:
    """The dotted path of a folder, for its tests with the ending that their package has."""
    return f"{_place_of(path)}_test" if path.name.endswith("_test.rego") else _place_of(path)


def _meets(one: str, other: str) -> bool:
    """Whether a path of the data leads into another, or holds it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
