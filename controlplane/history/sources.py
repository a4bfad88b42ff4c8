"""What the rules of a decision read: from OPA's own syntax trees of a policy folder."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controlplane.sidecar import BundleError, OpaBinary
from controlplane.sidecar.bundle import is_bundled

PARSE_SECONDS = 30.0
_AT_A_TIME = 2

Place = tuple[str, ...]
Name = tuple[str, str]
"""Package and name of a rule."""


@dataclass
class Rule:
    """One rule as it is written.

    Attributes:
        key: the constant that a partial rule adds, such as the code of a requirement.
        inputs: the paths of the input that it reads itself.
        data: the paths of the data, likewise.
        uses: other rules.
        constants: texts and numbers that stand in it.
    """

    package: str
    name: str
    key: str | None
    inputs: set[Place] = field(default_factory=set)
    data: set[Place] = field(default_factory=set)
    uses: set[Name] = field(default_factory=set)
    constants: set[str | float] = field(default_factory=set)


@dataclass(frozen=True)
class Reading:
    """What the rules of a requirement come to.

    Attributes:
        inputs: every path of the input that they read, by themselves or through others.
        data: every path of the data, likewise.
    """

    inputs: frozenset[Place]
    data: frozenset[Place]
    constants: frozenset[str | float]


class Sources:
    """The rules of a policy folder."""

    def __init__(self, rules: list[Rule], data: dict[str, Any]) -> None:
        self.data = data
        self._rules: dict[Name, list[Rule]] = {}
        for rule in rules:
            self._rules.setdefault((rule.package, rule.name), []).append(rule)

    def decides(self, package: str) -> bool:
        """Whether a package has a decision."""
        return (package, "decision") in self._rules

    def reading(self, package: str, code: str) -> Reading:
        """Return what proves the requirement ``code`` in the decision of ``package`` (``ztfm.inference``)."""
        proving = [
            rule for name in self._reached({(package, "decision")}) for rule in self._rules[name] if rule.key == code
        ]
        involved = list(proving)
        for name in self._reached({use for rule in proving for use in rule.uses}):
            involved += self._rules[name]
        return Reading(
            frozenset(path for rule in involved for path in rule.inputs),
            frozenset(path for rule in involved for path in rule.data),
            frozenset(value for rule in involved for value in rule.constants),
        )

    def reads(self, package: str, path: Sequence[str]) -> bool:
        """Whether the decision of ``package`` may depend on what stands at a path of the input.

        It says so too where it cannot be known: of rules that read the input whole, or choose a package by a value.
        """
        for name in self._reached({(package, "decision")}):
            for rule in self._rules[name]:
                if any(one[: len(path)] == tuple(path[: len(one)]) for one in rule.inputs):
                    return True
                if any(self._is_above_packages(one) for one in rule.data):
                    return True
        return False

    def _is_above_packages(self, path: Place) -> bool:
        return any(tuple(package.split("."))[: len(path)] == path for package, _ in self._rules)

    def _reached(self, names: set[Name]) -> set[Name]:
        reached: set[Name] = set()
        left = [name for name in names if name in self._rules]
        while left:
            name = left.pop()
            if name not in reached:
                reached.add(name)
                left += [use for rule in self._rules[name] for use in rule.uses if use in self._rules]
        return reached


async def read_sources(opa: OpaBinary, folder: Path) -> Sources:
    """Return the rules and the data of a policy folder, without its tests.

    Raises:
        BundleError: a module cannot be parsed; OPA's own words.
    """
    files = await asyncio.to_thread(_bundled, folder)
    turn = asyncio.Semaphore(_AT_A_TIME)

    async def _parsed(path: Path) -> Any:
        async with turn:
            return await _parse(opa, path)

    modules = [path for path in files if path.suffix == ".rego"]
    trees = await asyncio.gather(*map(_parsed, modules))
    packages = {_package(tree) for tree in trees}
    rules = [rule for tree in trees for rule in _rules(tree, packages)]
    return Sources(rules, _data(folder, [path for path in files if path.suffix == ".json"]))


def _bundled(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and is_bundled(path.relative_to(folder))]


async def _parse(opa: OpaBinary, path: Path) -> Any:
    command = [str(opa.path), "parse", "--format", "json", "--json-include", "-comments", str(path)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    try:
        out, error = await asyncio.wait_for(process.communicate(), PARSE_SECONDS)
    except TimeoutError:
        process.kill()
        raise BundleError(f"{path} was not parsed within {PARSE_SECONDS:g} s") from None
    if process.returncode != 0:
        raise BundleError(f"{path} cannot be parsed:\n{error.decode(errors='replace').strip()}")
    return json.loads(out)


def _data(folder: Path, files: list[Path]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in files:
        node = tree
        for part in path.parent.relative_to(folder).parts:
            node = node.setdefault(part, {})
        try:
            node.update(json.loads(path.read_bytes()))
        except (ValueError, TypeError):
            raise BundleError(f"{path} is no JSON object") from None
    return tree


def _package(tree: Any) -> str:
    return ".".join(term["value"] for term in tree["package"]["path"][1:])


def _rules(tree: Any, packages: set[str]) -> Iterator[Rule]:
    package = _package(tree)
    imported = {}
    for found in tree.get("imports", []):
        path = tuple(str(term["value"]) for term in found["path"]["value"])
        imported[found.get("alias", path[-1])] = path
    for node in tree.get("rules", []):
        head = node["head"]
        key = head.get("key", {})
        rule = Rule(
            package,
            str(head["ref"][0]["value"]),
            str(key["value"]) if key.get("type") == "string" else None,
        )
        read = [head.get(part) for part in ("key", "value", "args")] + [node.get("body"), node.get("else")]
        _read(read, rule, imported, packages)
        yield rule


def _read(node: Any, rule: Rule, imported: dict[str, Place], packages: set[str]) -> None:
    """Note what a part of a syntax tree reads."""
    if isinstance(node, list):
        for part in node:
            _read(part, rule, imported, packages)
        return
    if not isinstance(node, dict):
        return
    kind, value = node.get("type"), node.get("value")
    if kind == "ref" and isinstance(value, list) and value:
        _refer(value, rule, imported, packages)
        for part in value[1:]:
            if part.get("type") != "string":
                _read(part, rule, imported, packages)
    elif kind == "var" and isinstance(value, str) and value != rule.name:
        _refer([node], rule, imported, packages)
    elif kind in {"string", "number"} and isinstance(value, str | int | float):
        rule.constants.add(value)
    else:
        for name, part in node.items():
            if name not in {"location", "annotations"}:
                _read(part, rule, imported, packages)


def _refer(terms: list[Any], rule: Rule, imported: dict[str, Place], packages: set[str]) -> None:
    first = str(terms[0].get("value"))
    rest = []
    for term in terms[1:]:
        if term.get("type") != "string":
            break
        rest.append(str(term["value"]))
    path = (*imported.get(first, (first,)), *rest)
    if path[0] == "input":
        rule.inputs.add(path[1:])
    elif path[0] == "data":
        _refer_data(path[1:], rule, packages)
    else:
        rule.uses.add((rule.package, first))


def _refer_data(path: Place, rule: Rule, packages: set[str]) -> None:
    for length in range(len(path) - 1, 0, -1):
        package = ".".join(path[:length])
        if package in packages:
            rule.uses.add((package, path[length]))
            return
    rule.data.add(path)
