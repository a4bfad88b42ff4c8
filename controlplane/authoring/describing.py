"""Whether METADATA says what packages and decisions are, so that people and the reference can tell."""

from dataclasses import dataclass
from typing import Any

from controlplane.authoring.findings import Finding
from controlplane.authoring.folder import EXTRA, PolicyFolder, contract_of
from controlplane.authoring.tools import Tools, call_for_json

_HOW = "Write `# METADATA`, `# title: ...`, `# description: ...` right above it."


@dataclass(frozen=True)
class Note:
    """One METADATA block.

    Attributes:
        path: what it is about, such as ``ztfm.inference`` or ``ztfm.inference.decision``.
        about: its fields.
        file: where it is, relative to the policy folder.
    """

    path: str
    about: dict[str, Any]
    file: str
    line: int


def notes(tools: Tools, folder: PolicyFolder) -> tuple[list[Note], dict[str, list[str]]]:
    """Return all METADATA, and the files of every package.

    Raises:
        AuthoringError: the policies do not parse.
    """
    report = call_for_json(tools.opa, "inspect", "--annotations", "--format", "json", ".", cwd=folder.root)
    found = [
        Note(
            ".".join(str(part["value"]) for part in item["path"][1:]),
            item["annotations"],
            item["location"]["file"],
            item["location"]["row"],
        )
        for item in report.get("annotations") or ()
    ]
    packages = {name.removeprefix("data."): files for name, files in report["namespaces"].items()}
    return found, {name: files for name, files in packages.items() if any(file.endswith(".rego") for file in files)}


def check_descriptions(tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find packages and decisions without METADATA, incomplete METADATA, and decisions whose input no schema checks."""
    found, packages = notes(tools, folder)
    findings = []
    for note in found:
        for name in ("title", "description"):
            if not note.about.get(name):
                message = f"The METADATA of {note.path} has no {name}."
                findings.append(Finding(note.file, note.line, "descriptions", message, f"Add `# {name}: ...`."))
    described = {note.path for note in found if note.about["scope"] == "package"}
    for package in sorted(set(packages) - described):
        if not all(file.endswith("_test.rego") for file in packages[package]):
            first = min(file for file in packages[package] if not file.endswith("_test.rego"))
            findings.append(Finding(first, 1, "descriptions", f"The package {package} is not described.", _HOW))
    for package in folder.decisions():
        findings += _decision(package, found, packages)
    return findings


def _decision(package: str, found: list[Note], packages: dict[str, list[str]]) -> list[Finding]:
    name = f"ztfm.{package.replace('/', '.')}"
    files = [file for file in packages.get(name, ()) if not file.endswith("_test.rego")]
    if not files:
        return []
    file = next((file for file in files if file.endswith("policy.rego")), files[0])
    about = {note.path: note.about for note in found if note.about["scope"] != "package"}
    findings = []
    if f"{name}.decision" not in about:
        findings.append(Finding(file, 1, "descriptions", "The rule `decision` is not described.", _HOW))
    elif not package.startswith(f"{EXTRA}/") and not about[f"{name}.decision"].get("entrypoint"):
        remedy = "Add `# entrypoint: true` to its METADATA."
        findings.append(Finding(file, 1, "descriptions", "The rule `decision` is no entry point.", remedy))
    schema = f"schema.input.{contract_of(package)}"
    stated = [
        ".".join(str(part["value"]) for part in item["schema"])
        for note in found
        if note.path == name and note.about["scope"] == "package"
        for item in note.about.get("schemas", ())
        if "schema" in item
    ]
    if schema not in stated:
        message = f"The package is not checked against {schema}: a misspelt input would go unseen."
        remedy = f"Add to the package's METADATA: `# schemas:` and `#   - input: {schema}`."
        findings.append(Finding(file, 1, "descriptions", message, remedy))
    return findings
