"""What a policy folder must hold to before it is tested or published; each check says where it does not."""

import json
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from controlplane.authoring.deciding import check_examples, check_requirements
from controlplane.authoring.describing import check_descriptions
from controlplane.authoring.errors import AuthoringError
from controlplane.authoring.findings import Finding
from controlplane.authoring.folder import EXTRA, PolicyFolder, read_json
from controlplane.authoring.layerfolder import LayerFolder
from controlplane.authoring.layers import check_answers, check_confined, check_layer_examples
from controlplane.authoring.references import check_references, foreign_references
from controlplane.authoring.tools import Tools, allowed_builtins, call, call_for_json
from controlplane.authoring.waivers import waiver_findings
from controlplane.contracts.builtins import FORBIDDEN

MAX_LINES = 100
BATCH = "batch"
_STRUCTURE = "a package lies in the folder of its name: ztfm.extra.door in ztfm/extra/door"
_REMEDIES = {
    "rego_parse_error": "Complete the expression; the line above may be the one that does not end.",
    "rego_type_error": "Compare the path with docs/policy-reference.md: it is misspelt, or no fact has it.",
    "rego_unsafe_var_error": "Give the variable a value in a line that is not negated: bind it with := or some.",
    "rego_recursion_error": "Let a rule depend on itself nowhere: split it into two.",
}


def check_format(tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find files that are not as ``opa fmt`` writes them; those that do not parse are the compiler's matter."""
    listed = call(tools.opa, "fmt", "--list", ".", cwd=folder.root).stdout.split("\n")
    return [
        Finding(name, 1, "format", "The file is not formatted.", f"Run: opa fmt --write {folder.root / name}")
        for name in sorted(filter(None, listed))
    ]


def check_compile(tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find what the strict compiler refuses: misspelt input, unused variables, builtins that a policy may not call.

    Schemas that refer to something outside of themselves are found first: compiling them would load it.
    """
    unread: AuthoringError | None = None
    try:
        foreign = check_references(tools, folder)
    except AuthoringError as error:
        foreign, unread = [], error
    if foreign:
        return sorted(foreign)
    schemas = str(folder.schemas)
    with allowed_builtins(tools.opa) as capabilities:
        options = ["--strict", "--bundle", "--schema", schemas, "--capabilities", capabilities, "--max-errors", "100"]
        result = call(tools.opa, "check", "--format", "json", *options, ".", cwd=folder.root)
    if result.returncode == 0:
        if unread is not None:
            raise unread
        return []
    try:
        errors = json.loads(result.stdout or result.stderr)["errors"]
    except (ValueError, KeyError, TypeError):
        raise AuthoringError(f"opa check: {(result.stderr or result.stdout).strip()}") from None
    return sorted({_compile_error(error) for error in errors})


def _compile_error(error: dict[str, object]) -> Finding:
    place, message, code = error.get("location"), str(error.get("message")), str(error.get("code"))
    place = place if isinstance(place, dict) else {}
    builtin = message.removeprefix("undefined function ")
    remedy = _REMEDIES.get(code, "OPA refuses to compile this: correct it.")
    if builtin in FORBIDDEN:
        message = f"The builtin {builtin} {FORBIDDEN[builtin]}, which no policy may."
        remedy = "Decide from input and data alone; the time is input.context.time, in seconds."
    elif builtin != message:
        remedy = f"No builtin and no imported function is called {builtin}: correct its name, or import its package."
    line, column = (max(int(place.get(name) or 1), 1) for name in ("row", "col"))
    return Finding(str(place.get("file", ".")), line, "compile", message, remedy, column)


def check_structure(tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find packages that are not where their name says, files that are long, and folders without tests."""
    try:
        report = call_for_json(tools.opa, "inspect", "--format", "json", ".", cwd=folder.root)
    except AuthoringError:
        return []
    found = []
    for package, files in report["namespaces"].items():
        for name in (name for name in files if name.endswith(".rego") and not name.endswith("_test.rego")):
            expected = ".".join(["data", *Path(name).parent.parts])
            if package != expected:
                message = f"The package is {package.removeprefix('data.')}."
                found.append(Finding(name, 1, "structure", message, f"Move the file: {_STRUCTURE}."))
    for path in folder.rego_files():
        name, count = path.relative_to(folder.root).as_posix(), len(path.read_text().splitlines())
        if count > MAX_LINES:
            remedy = "Split it: a file tells one story, and a package may have several files."
            found.append(Finding(name, count, "structure", f"The file has {count} lines.", remedy))
    tested = {path.parent for path in folder.rego_files(tests=True)}
    for parent in sorted({path.parent for path in folder.rego_files()} - tested):
        name = next(parent.glob("*.rego")).relative_to(folder.root).as_posix()
        found.append(Finding(name, 1, "structure", "Nothing tests this package.", "Add a policy_test.rego beside it."))
    return [*found, *unasked(folder)]


def unasked(folder: PolicyFolder) -> Iterator[Finding]:
    """Find decisions of the product that its batch does not ask: each request about them would be denied."""
    batch = folder.root / "ztfm" / BATCH
    if isinstance(folder, LayerFolder) or not batch.is_dir():
        return
    rules = "".join(path.read_text() for path in folder.rego_files() if path.parent == batch)
    for package in folder.decisions():
        if not package.startswith(f"{EXTRA}/") and f"data.ztfm.{package}.decision" not in rules:
            first = min((folder.root / "ztfm" / package).glob("*.rego"), default=folder.root / "ztfm" / package)
            remedy = f"Add a rule to ztfm/{BATCH}/batch.rego: data.ztfm.{package}.decision for input.{package}."
            name = first.relative_to(folder.root).as_posix()
            yield Finding(name, 1, "structure", "The batch does not ask this decision: nobody gets an answer.", remedy)


def check_data(tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find data that does not fit the JSON Schema beside it, or has none, and exceptions that could not count."""
    found, documents = [], {}
    for path in folder.data_folders():
        name = (path / "data.json").relative_to(folder.root).as_posix()
        document, schema = read_json(path / "data.json"), read_json(path / f"{path.name}.schema.json")
        if document is None:
            found.append(Finding(name, 1, "data", "The file is no JSON.", "Correct it; it is as long as it parses."))
        elif not isinstance(schema, dict):
            remedy = f"Write {path.name}.schema.json beside it, so that a wrong value is found before it decides."
            found.append(Finding(name, 1, "data", "No JSON Schema says what may be in it.", remedy))
        elif foreign_references(json.dumps(schema)):
            message = f"Its schema refers to {foreign_references(json.dumps(schema))[0][:128]!r}, outside of itself."
            found.append(Finding(name, 1, "data", message, "Say what is meant in the schema itself."))
        else:
            # OPA's validator knows all that our schemas say, but not the name of their draft.
            documents[name] = {"data": document, "schema": {k: v for k, v in schema.items() if k != "$schema"}}
    query = "found := {name: json.match_schema(pair.data, pair.schema) | some name, pair in input}"
    arguments = ["eval", "--format", "json", "--stdin-input", query]
    answer = call_for_json(tools.opa, *arguments, cwd=folder.root, stdin=json.dumps(documents))
    if answer.get("errors"):
        raise AuthoringError(f"a schema under data cannot be used: {answer['errors'][0].get('message')}")
    for name, (_, wrong) in answer["result"][0]["bindings"]["found"].items():
        for item in wrong:
            remedy = f"Correct the value; {Path(name).parent.name}.schema.json says what may be there."
            line = _line_of_path(folder.root / name, item["field"])
            found.append(Finding(name, line, "data", f"{item['error']}.".replace("..", "."), remedy))
    return [*found, *waiver_findings(folder)]


def _line_of_path(path: Path, field: str) -> int:
    """Return the line that the keys of a dotted path lead to, as far as they do."""
    lines, at = path.read_text().splitlines(), 0
    for key in field.split("."):
        at = next((number for number in range(at, len(lines)) if f'"{key}"' in lines[number]), at)
    return at + 1


def check_lint(tools: Tools, folder: PolicyFolder, only: tuple[str, ...] = (".",)) -> list[Finding]:
    """Find what the linter finds, by the folder's own rules for it.

    Raises:
        AuthoringError: there is no linter, or it fails.
    """
    if tools.regal is None:
        raise AuthoringError("regal is not installed: run python -m controlplane.sidecar.install --regal, or --no-lint")
    arguments = ["lint", "--config-file", str(folder.linter_rules), "--format", "json", *only]
    report = call_for_json(tools.regal, *arguments, cwd=folder.root)
    return [
        Finding(
            item["location"]["file"].removeprefix(f"{folder.root}/"),
            item["location"]["row"],
            f"lint:{item['title']}",
            f"{item['description'].rstrip('.')}.",
            f"See {item['related_resources'][0]['ref']}" if item.get("related_resources") else "See regal's rule.",
            max(int(item["location"].get("col") or 1), 1),
        )
        for item in report.get("violations") or ()
    ]


Check = Callable[[Tools, PolicyFolder], list[Finding]]

CHECKS: dict[str, Check] = {
    "compile": check_compile,
    "format": check_format,
    "structure": check_structure,
    "data": check_data,
    "descriptions": check_descriptions,
    "requirements": check_requirements,
    "examples": check_examples,
    "lint": check_lint,
}
"""The checks by name; the quick ones come first."""

LAYER_CHECKS: dict[str, Check] = {
    "compile": check_compile,
    "format": check_format,
    "structure": check_structure,
    "confined": check_confined,
    "data": check_data,
    "descriptions": check_descriptions,
    "answers": check_answers,
    "examples": check_layer_examples,
    "lint": check_lint,
}
"""Those of a layer beside the base."""

NEEDS_COMPILING = frozenset({"structure", "confined", "descriptions", "requirements", "answers", "examples"})
"""Checks that say nothing of policies that do not compile."""


def checks_of(folder: PolicyFolder) -> dict[str, Check]:
    """Return the checks of a folder by name."""
    return LAYER_CHECKS if isinstance(folder, LayerFolder) else CHECKS


@dataclass(frozen=True)
class Checked:
    """What one check found.

    Attributes:
        skipped: why it was not done; empty when it was.
    """

    check: str
    findings: list[Finding]
    skipped: str = ""


def check(tools: Tools, folder: PolicyFolder, *, lint: bool = True, only: Collection[str] = ()) -> Iterator[Checked]:
    """Do the checks, two at a time, and give what each found as soon as it and those before it are done.

    Where the policies do not compile, what needs them compiled is skipped, and says so.

    Args:
        tools: the programs.
        folder: of the policies.
        lint: whether the linter runs too.
        only: these by name, and whether they compile; all where none are named.

    Raises:
        AuthoringError: a tool is missing or fails.
    """
    checks = checks_of(folder)
    named = {"compile", *only} if only else set(checks)
    chosen = [name for name in checks if name in named and (lint or name != "lint")]
    with ThreadPoolExecutor(2) as pool:
        compiled = pool.submit(check_compile, tools, folder)
        linted = pool.submit(check_lint, tools, folder) if "lint" in chosen else None
        broken = compiled.result()
        for name in chosen:
            if name == "compile":
                yield Checked(name, broken)
            elif name == "lint" and linted is not None:
                yield Checked(name, linted.result())
            elif broken and name in NEEDS_COMPILING:
                yield Checked(name, [], skipped="the policies do not compile")
            else:
                yield Checked(name, sorted(checks[name](tools, folder)))
