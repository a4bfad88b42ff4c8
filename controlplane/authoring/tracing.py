"""Read OPA's trace of one evaluation: which rules were tried for each requirement, and what failed in them."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from controlplane.authoring.folder import PolicyFolder, read_json

UNDEFINED = "undefined"

MAX_VALUES = 12
"""Values shown of one expression, those that it reads itself first."""

Name = tuple[str, ...]
"""The path of a rule in the data: its package and its own name."""


@dataclass(frozen=True)
class Condition:
    """An expression that did not hold.

    Attributes:
        file: relative to the policy folder.
        text: the line that it begins on.
        values: of what it read, by path or by variable; ``undefined`` for what is not there.
    """

    file: str
    line: int
    text: str
    values: dict[str, Any]


@dataclass(frozen=True)
class RuleTrace:
    """A rule that was tried for a requirement."""

    file: str
    line: int
    held: bool
    failed: list[Condition]


def read_trace(events: list[dict[str, Any]], folder: PolicyFolder, facts: dict[str, Any]) -> dict[str, list[RuleTrace]]:
    """Return the rules that were tried, by the code that they show.

    Args:
        events: OPA's full trace, made without indexing, so that every rule is tried.
        folder: of the policies.
        facts: the input.
    """
    rules = _Rules()
    tried: dict[int, tuple[str, dict[str, Any]]] = {}
    held: set[int] = set()
    parents: dict[int, int] = {}
    failed: dict[int, list[dict[str, Any]]] = defaultdict(list)
    parts: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        query = event["QueryID"]
        parents.setdefault(query, event["ParentID"])
        rules.see(event)
        code = _code(event["Node"])
        if event["Op"] == "Enter" and code:
            tried[query] = (code, event["Location"])
        elif event["Op"] == "Exit":
            held.add(query)
        elif event["Op"] == "Eval":
            parts[query, event["Location"]["row"]].append(event)
        elif event["Op"] == "Fail":
            failed[query].append(event)
    values = _Values(folder, facts, rules)
    found: dict[str, list[RuleTrace]] = defaultdict(list)
    for query, (code, place) in tried.items():
        below = [inner for inner in failed if inner not in held and _is_below(inner, query, parents)]
        # OPA takes a line apart before it evaluates it; what any part read belongs to the line.
        conditions = [
            values.condition(event, parts[inner, event["Location"]["row"]])
            for inner in sorted(below)
            for event in failed[inner]
        ]
        found[code].append(RuleTrace(place["file"], place["row"], query in held, conditions))
    return dict(found)


def _code(node: Any) -> str:
    head = node["head"] if isinstance(node, dict) and "head" in node else {}
    # What names a requirement does not show it.
    key = head.get("key") if head.get("name") != "required" else None
    return str(key["value"]) if isinstance(key, dict) and key.get("type") == "string" else ""


def _is_below(query: int, above: int, parents: dict[int, int]) -> bool:
    for _ in range(64):
        if query == above:
            return True
        if query not in parents or parents[query] == query:
            return False
        query = parents[query]
    return False


class _Rules:
    """Knows which references of the input each rule read, by itself or through others, wherever it was evaluated."""

    def __init__(self) -> None:
        self._names: dict[int, Name] = {}
        self._references: dict[Name, list[list[dict[str, Any]]]] = defaultdict(list)

    def see(self, event: dict[str, Any]) -> None:
        """Take an event of the trace into account."""
        query, node = event["QueryID"], event["Node"]
        if event["Op"] == "Enter":
            if isinstance(node, dict) and "head" in node:
                package = tuple(event["Location"]["file"].split("/")[:-1])
                self._names[query] = (*package, str(node["head"]["ref"][0]["value"]))
            elif event["ParentID"] in self._names:
                # A comprehension or an iteration belongs to the rule that it stands in.
                self._names[query] = self._names[event["ParentID"]]
        elif event["Op"] == "Eval" and query in self._names:
            self._references[self._names[query]] += _references(node)

    def read_by(self, path: tuple[str, ...]) -> list[list[dict[str, Any]]]:
        """Return the references of the input behind a path of the data that names a rule."""
        found: list[list[dict[str, Any]]] = []
        seen: set[Name] = set()
        left = [path]
        while left:
            name = next((left[-1][:size] for size in range(len(left[-1]), 0, -1) if left[-1][:size] in self), None)
            left.pop()
            if name is None or name in seen:
                continue
            seen.add(name)
            for reference in self._references[name]:
                if reference[0]["value"] == "input":
                    found.append(reference)
                elif reference[0]["value"] == "data":
                    left.append(tuple(str(part["value"]) for part in reference[1:]))
        return found

    def __contains__(self, name: Name) -> bool:
        return name in self._references


class _Values:
    """Looks up what an expression read."""

    def __init__(self, folder: PolicyFolder, facts: dict[str, Any], rules: _Rules) -> None:
        self._folder = folder
        self._facts = facts
        self._rules = rules
        self._lines: dict[str, list[str]] = {}

    def condition(self, event: dict[str, Any], parts: list[dict[str, Any]]) -> Condition:
        file, row = event["Location"]["file"], event["Location"]["row"]
        if file not in self._lines:
            path = self._folder.root / file
            self._lines[file] = path.read_text().splitlines() if path.is_file() else []
        lines = self._lines[file]
        begins = min(part["Location"]["col"] for part in [event, *parts])
        text = lines[row - 1][begins - 1 :].strip().removesuffix("{").strip() if 0 < row <= len(lines) else ""
        local = {item["name"]: _plain(item) for item in event.get("Locals") or ()}
        named = {name: about["name"] for name, about in (event.get("LocalMetadata") or {}).items()}
        found: dict[str, Any] = {}
        for reference in (found for part in [*parts, event] for found in _references(part["Node"])):
            head, *rest = reference
            if rest and head["value"] in ("input", "data"):
                self._look_up(found, head["value"], rest, local)
            elif not rest and head["value"] in local and not named.get(head["value"], "$").startswith(("$", "__")):
                found[named[head["value"]]] = local[head["value"]]
        for part in parts:
            self._look_behind(found, part, local, text)
        return Condition(file, row, text, dict(islice(found.items(), MAX_VALUES)))

    def _look_behind(self, found: dict[str, Any], part: dict[str, Any], local: dict[str, Any], text: str) -> None:
        """Add the value of a rule that a line reads, and the input behind it."""
        terms = part["Node"].get("terms") if isinstance(part["Node"], dict) else None
        if not isinstance(terms, list) or len(terms) != 3 or terms[1].get("type") != "var":
            return
        reference = terms[2].get("value") if terms[2].get("type") == "ref" else None
        if not reference or reference[0]["value"] != "data" or terms[1]["value"] not in local:
            return
        path = tuple(str(step["value"]) for step in reference[1:])
        behind = self._rules.read_by(path)
        if path[0] != "data":
            endings = (".".join(path[start:]) for start in range(len(path)))
            found[next((ending for ending in endings if ending in text), ".".join(path))] = local[terms[1]["value"]]
        for one in behind:
            self._look_up(found, "input", one[1:], {})

    def _look_up(self, found: dict[str, Any], root: str, rest: list[dict[str, Any]], local: dict[str, Any]) -> None:
        path: list[Any] = []
        for part in rest:
            if part["type"] == "var" and part["value"] not in local:
                break
            path.append(local[part["value"]] if part["type"] == "var" else part["value"])
        if root == "data":
            files = ((n, self._document(path[:n])) for n in range(2, min(len(path), 4)))
            below, file = next(((n, file) for n, file in files if file), (0, None))
            if file is None:
                return
            value, walked = read_json(file), path[below:]
        else:
            value, walked = self._facts, path
        for key in walked:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                value = UNDEFINED
                break
        found[".".join([root, *map(str, path)])] = value

    def _document(self, path: list[Any]) -> Path | None:
        names = [str(part) for part in path]
        file = self._folder.root.joinpath(*names, "data.json")
        return file if all(name.isidentifier() for name in names) and file.is_file() else None


def _plain(item: dict[str, Any]) -> Any:
    value = item.get("value")
    if item.get("type") in {"array", "set"} and isinstance(value, list):
        return [_plain(part) for part in value]
    if item.get("type") == "object" and isinstance(value, list):
        return {str(_plain(key)): _plain(part) for key, part in value}
    return value


def _references(node: Any) -> Iterator[list[dict[str, Any]]]:
    """Give the references and variables of an expression, operators left out."""
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        if node.get("type") == "ref" and isinstance(node.get("value"), list):
            yield node["value"]
        elif node.get("type") == "var":
            yield [node]
        else:
            for value in node.values():
                yield from _references(value)
