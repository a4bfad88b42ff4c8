"""A software bill of materials, CycloneDX 1.6 in JSON: of what is installed here, and of OPA's modules.

It has neither a time nor a serial number, so that the same environment gives the same bytes (ECMA-424).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, version
from typing import Any

from tests.supplychain.closing import PROJECT, ROOT, closure, modules, needed_by


def bill(extras: Sequence[str]) -> dict[str, Any]:
    """Return the bill of an installation with these extras."""
    whole, go = closure(tuple(extras)), modules((ROOT / "opa" / "go.mod").read_text())
    own = {"type": "application", "bom-ref": PROJECT, "name": PROJECT, "version": version(PROJECT)}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own},
        "components": [*map(_python, whole.values()), *(_go(name, found[0]) for name, found in sorted(go.items()))],
        "dependencies": [
            {"ref": PROJECT, "dependsOn": sorted([*_direct(whole), *(_go_url(*one) for one in _asked(go))])},
            *(
                {"ref": _url(one), "dependsOn": [_url(whole[name]) for name in needed_by(one, whole)]}
                for one in whole.values()
            ),
        ],
    }


def written(extras: Sequence[str]) -> str:
    """Return the bill as it is written to a file."""
    return json.dumps(bill(extras), indent=2, ensure_ascii=False) + "\n"


def _direct(whole: Mapping[str, Distribution]) -> Iterator[str]:
    from importlib.metadata import distribution

    yield from (_url(whole[name]) for name in needed_by(distribution(PROJECT), whole))


def _asked(go: Mapping[str, tuple[str, bool]]) -> Iterator[tuple[str, str]]:
    yield from ((name, found) for name, (found, is_direct) in go.items() if is_direct)


def _python(one: Distribution) -> dict[str, Any]:
    found = {
        "type": "library",
        "bom-ref": _url(one),
        "name": one.metadata["Name"],
        "version": one.version,
        "purl": _url(one),
    }
    stated = one.metadata.get("License-Expression")
    return {**found, "licenses": [{"expression": stated}]} if stated else found


def _url(one: Distribution) -> str:
    return f"pkg:pypi/{one.metadata['Name'].lower().replace('_', '-')}@{one.version}"


def _go(name: str, found: str) -> dict[str, Any]:
    url = _go_url(name, found)
    return {"type": "library", "bom-ref": url, "name": name, "version": found, "purl": url}


def _go_url(name: str, found: str) -> str:
    return f"pkg:golang/{name}@{found}"
