"""Write the reference of all decisions from the policies' METADATA, schemas, data and examples."""

from collections.abc import Iterator
from typing import Any

from controlplane.authoring.deciding import probe
from controlplane.authoring.describing import notes
from controlplane.authoring.findings import place_of_code
from controlplane.authoring.folder import EXTRA, Example, PolicyFolder, contract_of, read_json
from controlplane.authoring.tools import Tools
from controlplane.contracts.decision import Obligations

_TOP = """# Policy reference

Every decision, what it is asked with, what it requires, and what to do when that is missing. Written from the policies
by `ztfm policy docs`; change those, not this. How to write them: [policy-authoring.md](policy-authoring.md).
"""


def write_reference(tools: Tools, folder: PolicyFolder) -> str:
    """Return the reference, in Markdown.

    Raises:
        AuthoringError: the policies do not compile.
    """
    described = {note.path: note.about for note in notes(tools, folder)[0]}
    examples = folder.examples()
    required = _required(tools, folder)
    lines = [_TOP, "| decision | decides | input |", "|---|---|---|"]
    for package in folder.decisions():
        about = described.get(_dotted(package), {})
        lines.append(
            f"| [{_title(package)}](#{_title(package)}) | {_flat(about)} | [fields](#input-of-{_anchor(package)}) |"
        )
    lines += ["", *_answer(), ""]
    for package in folder.decisions():
        about = described.get(_dotted(package), {})
        lines += [f"## {_title(package)}", "", str(about.get("description", "")).strip(), ""]
        lines += [f"Asked as `data.{_dotted(package)}.decision`.", "", f"### Input of {_title(package)}", ""]
        lines += [*_input(folder, package), "", f"### Requirements of {_title(package)}", ""]
        lines += [*_requirements(folder, package, required[package]), ""]
        lines += [*_examples(package, examples), ""]
    lines += [*_reasons(folder, required), "", *_limits(folder)]
    return "\n".join(lines).rstrip() + "\n"


def _dotted(package: str) -> str:
    return f"ztfm.{package.replace('/', '.')}"


def _title(package: str) -> str:
    return package.removeprefix(f"{EXTRA}/")


def _anchor(package: str) -> str:
    return _title(package)


def _flat(about: dict[str, Any]) -> str:
    return " ".join(str(about.get("description", "")).split())


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _required(tools: Tools, folder: PolicyFolder) -> dict[str, list[str]]:
    """Return the codes that each decision requires of some example, of one less a field, or of nothing."""
    found: dict[str, set[str]] = {package: set() for package in folder.decisions()}
    questions, answers = probe(tools.opa, folder)
    for question, answer in answers.items():
        found[questions[question][0]] |= set(answer.get("rules", ()))
    return {package: sorted(codes) for package, codes in found.items()}


def _answer() -> Iterator[str]:
    yield "The answer is `allow`, `reasons` (what is missing, each with `code`, `message`, `remedy`), `rules` (what was"
    yield "required), `ttl_seconds` (0 when denied, else 5 to 300), and `obligations`, of which there are these:"
    yield ""
    yield "| obligation | type | meaning |"
    yield "|---|---|---|"
    meanings = _attributes(Obligations.__doc__ or "")
    schema = Obligations.model_json_schema()
    for name, field in sorted(schema["properties"].items()):
        kinds = [item.get("type", "") for item in field.get("anyOf", [field])]
        yield f"| `{name}` | {next(kind for kind in kinds if kind != 'null')} | {_cell(meanings.get(name, ''))} |"


def _attributes(docstring: str) -> dict[str, str]:
    lines = docstring.partition("Attributes:")[2].strip().splitlines()
    pairs = (line.strip().partition(": ") for line in lines)
    return {name: meaning for name, _, meaning in pairs if meaning}


def _input(folder: PolicyFolder, package: str) -> Iterator[str]:
    schema = read_json(folder.schemas / "input" / f"{contract_of(package)}.json")
    yield "| field | type | always there | meaning |"
    yield "|---|---|---|---|"
    for path, node, needed in _fields(schema if isinstance(schema, dict) else {}):
        meaning = str(node.get("description", "")).split("\n\n")[0]
        yield f"| `{path}` | {_cell(_kind(node))} | {'yes' if needed else 'no'} | {_cell(meaning)} |"


def _fields(node: dict[str, Any], at: str = "", certain: bool = True) -> Iterator[tuple[str, dict[str, Any], bool]]:
    for name, inner in node.get("properties", {}).items():
        path, needed = f"{at}.{name}".lstrip("."), certain and name in node.get("required", ())
        yield path, inner, needed
        yield from _fields(inner, path, needed)
        for choice in inner.get("anyOf", ()):
            yield from _fields(choice, path, False)


def _kind(node: dict[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" if value != "" else '`""`' for value in node["enum"])
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in node["anyOf"]))
    if node.get("type") == "array":
        return f"list of {_kind(node.get('items', {}))}"
    return str(node.get("type", "any"))


def _requirements(folder: PolicyFolder, package: str, codes: list[str]) -> Iterator[str]:
    rules = folder.rules_of(package)
    yield "| requirement | missing means | shown in |"
    yield "|---|---|---|"
    texts = folder.reasons()
    for code in codes:
        place = place_of_code(rules, code)
        where = f"`{place[0].relative_to(folder.root).as_posix()}`" if place else ""
        yield f"| [`{code}`](#reasons) | {_cell(texts.get(code, {}).get('message', ''))} | {where} |"


def _examples(package: str, examples: list[Example]) -> Iterator[str]:
    yield "| example | decided |"
    yield "|---|---|"
    for example in examples:
        if example.package == package:
            decided = "allowed" if example.decision else "denied: " + ", ".join(f"`{code}`" for code in example.reasons)
            yield f"| {_cell(example.title)} (`{example.name}`) | {decided} |"


def _reasons(folder: PolicyFolder, required: dict[str, list[str]]) -> Iterator[str]:
    yield "## Reasons"
    yield ""
    yield "| code | message | remedy | decisions |"
    yield "|---|---|---|---|"
    for code, text in sorted(folder.reasons().items()):
        users = ", ".join(f"[{_title(name)}](#{_anchor(name)})" for name, codes in required.items() if code in codes)
        yield f"| `{code}` | {_cell(text.get('message', ''))} | {_cell(text.get('remedy', ''))} | {users} |"


def _limits(folder: PolicyFolder) -> Iterator[str]:
    yield "## Data and limits"
    yield ""
    yield "What policies read under `data.data`; values are those of this folder, bounds those of the JSON Schemas."
    for path in folder.data_folders():
        if path.name == "reasons":
            continue
        schema, document = read_json(path / f"{path.name}.schema.json"), read_json(path / "data.json")
        schema = schema if isinstance(schema, dict) else {}
        yield ""
        yield f"### {path.name}"
        yield ""
        yield str(schema.get("description", "")).strip() or "Not described."
        rows = list(_values(schema, document))
        if rows:
            yield ""
            yield "| value | now | bounds | meaning |"
            yield "|---|---|---|---|"
            yield from rows


def _values(schema: dict[str, Any], document: Any, at: str = "") -> Iterator[str]:
    """Give a row for every value that the schema names."""
    for name, inner in schema.get("properties", {}).items():
        path = f"{at}.{name}".lstrip(".")
        value = document.get(name) if isinstance(document, dict) else None
        if "properties" in inner and isinstance(value, dict):
            yield from _values(inner, value, path)
        elif not isinstance(value, dict | list) and value is not None:
            yield f"| `{path}` | {value} | {_bounds(inner)} | {_cell(inner.get('description', ''))} |"


def _bounds(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None and high is None:
        return str(schema.get("type", ""))
    return f"{low if low is not None else ''} to {high if high is not None else ''}".strip()
