"""Generate the JSON Schemas of the policies' inputs: ``python -m controlplane.contracts.schemas --out DIR``.

OPA's type checker reads a subset of JSON Schema and no ``$ref`` into ``$defs``, so definitions are inlined. Of what
may be there or not, the schema says what it is when it is there: beside a null, the checker lets every misspelt
path below it pass.
"""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controlplane.contracts.facts import INPUTS

_NULL = {"type": "null"}
_ATTRIBUTE = re.compile(r" {4}(?P<name>[a-z][a-z0-9_]*): (?P<text>.+)")
_KEPT = {"type", "properties", "required", "items", "additionalProperties", "enum", "anyOf", "description"}


def input_schema(name: str) -> dict[str, Any]:
    """Return the schema of ``data.ztfm.<name>``'s input, without references.

    Raises:
        KeyError: no such package.
    """
    schema = INPUTS[name].model_json_schema()
    inlined: dict[str, Any] = _inline(schema, schema.get("$defs", {}))
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"ztfm.{name} input", **inlined}


def _inline(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    if "const" in node:
        return {"type": "string", "enum": [node["const"]]}
    some = [item for item in node.get("anyOf", ()) if item != _NULL]
    if len(some) == 1:
        return _inline(some[0], definitions)
    kept = {key: value for key, value in node.items() if key in _KEPT and isinstance(key, str)}
    if "properties" in kept:
        meanings = attributes(str(node.get("description", "")))
        properties = {
            name: {**({"description": meanings[name]} if name in meanings else {}), **_inline(value, definitions)}
            for name, value in kept.pop("properties").items()
        }
        return {**{key: _inline(value, definitions) for key, value in kept.items()}, "properties": properties}
    return {key: _inline(value, definitions) for key, value in kept.items()}


def attributes(docstring: str) -> dict[str, str]:
    """Return what a class's docstring says of its attributes, in one line each."""
    found: dict[str, list[str]] = {}
    section = docstring.partition("\nAttributes:\n")[2].partition("\n\n")[0]
    for line in section.splitlines():
        begun = _ATTRIBUTE.fullmatch(line)
        if begun:
            found[begun["name"]] = [begun["text"]]
        elif found and line.startswith(" " * 8):
            next(reversed(found.values())).append(line.strip())
    return {name: " ".join(lines).replace("``", "`") for name, lines in found.items()}


def write_schemas(folder: Path) -> list[Path]:
    """Write one ``<package>.json`` per package into ``folder`` and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in INPUTS:
        path = folder / f"{name}.json"
        path.write_text(json.dumps(input_schema(name), indent=2, sort_keys=True) + "\n")
        paths.append(path)
    return paths


def main() -> None:
    """Write the schemas from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to, e.g. policies/schemas/input")
    for path in write_schemas(parser.parse_args().out):
        print(path)


if __name__ == "__main__":
    main()
