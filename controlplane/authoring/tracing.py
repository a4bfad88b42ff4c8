"""Read OPA's trace of one evaluation: which rules were tried for each requirement, and what failed in them."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controlplane.authoring.folder import PolicyFolder, read_json

UNDEFINED = "undefined"


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
    tried: dict[int, tuple[str, dict[str, Any]]] = {}
    held: set[int] = set()
    parents: dict[int, int] = {}
    failed: dict[int, list[dict[str, Any]]] = defaultdict(list)
    parts: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        query = event["QueryID"]
        parents.setdefault(query, event["ParentID"])
        code = _code(event["Node"])
        if event["Op"] == "Enter" and code:
            tried[query] = (code, event["Location"])
        elif event["Op"] == "Exit":
            held.add(query)
        elif event["Op"] == "Eval":
            parts[query, event["Location"]["row"]].append(event)
        elif event["Op"] == "Fail":
            failed[query].append(event)
    values = _Values(folder, facts)
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
    key = node["head"].get("key") if isinstance(node, dict) and "head" in node else None
    return str(key["value"]) if isinstance(key, dict) and key.get("type") == "string" else ""


def _is_below(query: int, above: int, parents: dict[int, int]) -> bool:
    for _ in range(64):
        if query == above:
            return True
        if query not in parents or parents[query] == query:
            return False
        query = parents[query]
    return False


class _Values:
    """Looks up what an expression read."""

    def __init__(self, folder: PolicyFolder, facts: dict[str, Any]) -> None:
        self._folder = folder
        self._facts = facts
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
        return Condition(file, row, text, found)

    def _look_up(self, found: dict[str, Any], root: str, rest: list[dict[str, Any]], local: dict[str, Any]) -> None:
        path: list[Any] = []
        for part in rest:
            if part["type"] == "var" and part["value"] not in local:
                break
            path.append(local[part["value"]] if part["type"] == "var" else part["value"])
        if root == "data":
            if len(path) < 3 or path[0] != "data":
                return
            value, walked = read_json(self._folder.root / "data" / str(path[1]) / "data.json"), path[2:]
        else:
            value, walked = self._facts, path
        for key in walked:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                value = UNDEFINED
                break
        found[".".join([root, *map(str, path)])] = value


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
