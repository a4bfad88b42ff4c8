"""Schemas that refer to something outside of themselves: OPA would load it, from any file or address."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controlplane.authoring.findings import Finding, line_of
from controlplane.authoring.folder import PolicyFolder
from controlplane.authoring.tools import Tools, call_for_json

_NAMES = ("$ref", "$id", "id")
_REMEDY = "Say what is meant in the schema itself, and refer to it by #/definitions/NAME."


def foreign_references(text: str) -> list[str]:
    """Return what a JSON Schema refers to outside of itself, or calls itself, which shifts what it refers to.

    Raises:
        ValueError: it is no JSON; OPA would read it as YAML.
    """
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # A name that is repeated is looked at each time.
        found.extend(v for k, v in pairs if k in _NAMES and isinstance(v, str) and not v.startswith("#"))
        return dict(pairs)

    try:
        json.loads(text, object_pairs_hook=look, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def check_references(tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find schemas of inputs that refer to something outside of themselves, before any compiler reads them.

    Raises:
        AuthoringError: the policies do not parse, so that no compiler reads them.
    """
    return [*_in_files(folder.schemas, folder.root), *_in_metadata(tools, folder)]


def _in_files(schemas: Path, root: Path) -> Iterator[Finding]:
    for path in sorted(schemas.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        try:
            found = foreign_references(path.read_text())
        except ValueError:
            # An editor's leftovers would be read as a schema too.
            yield Finding(name, 1, "compile", "The file is no JSON Schema.", "Correct it, or move it out of schemas/.")
            continue
        for reference in found[:1]:
            yield Finding(name, line_of(path, reference), "compile", _said(reference), _REMEDY)


def _in_metadata(tools: Tools, folder: PolicyFolder) -> Iterator[Finding]:
    report = call_for_json(tools.opa, "inspect", "--annotations", "--format", "json", ".", cwd=folder.root)
    for item in report.get("annotations") or ():
        place = item["location"]
        for schema in item["annotations"].get("schemas") or ():
            for reference in foreign_references(json.dumps(schema.get("definition")))[:1]:
                yield Finding(place["file"], place["row"], "compile", _said(reference), _REMEDY)


def _said(reference: str) -> str:
    return f"The schema refers to {reference[:128]!r}, which is outside of it."
