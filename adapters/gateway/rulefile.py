"""Rules in a file: which capability each path needs, and which paths everybody may call."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from adapters.web.rules import Rule
from controlplane.contracts.access import ActionName, Purpose

_FIELDS: Final = frozenset(one.name for one in fields(Rule))
_MOST: Final = 1000


class Rules(NamedTuple):
    """What a file of rules says.

    Attributes:
        rules: in order; the first that fits a path counts.
        exempt: paths that everybody may call.
    """

    rules: tuple[Rule, ...]
    exempt: tuple[str, ...]


def read_rules(path: Path) -> Rules:
    """Return what a file says: ``{"rules": [{"action": ..., "path": ..., ...}], "exempt": ["/healthz"]}``.

    Raises:
        OSError: the file cannot be read.
        ValueError: it says something else; the message says where.
    """
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    if not isinstance(document, dict) or not set(document) <= {"rules", "exempt"}:
        raise ValueError(f'{path} is to be an object with "rules" and, if you like, "exempt"')
    listed, exempt = document.get("rules"), document.get("exempt", [])
    if not isinstance(listed, list) or not 0 < len(listed) <= _MOST:
        raise ValueError(f'{path}: "rules" is to be a list of 1 to {_MOST}')
    if not isinstance(exempt, list) or not all(isinstance(one, str) for one in exempt):
        raise ValueError(f'{path}: "exempt" is to be a list of paths')
    return Rules(tuple(_rule(one, f"{path}, rule {place}") for place, one in enumerate(listed, 1)), tuple(exempt))


def _rule(stated: Any, where: str) -> Rule:
    if not isinstance(stated, dict):
        raise ValueError(f"{where}: is to be an object")
    unknown = sorted(set(stated) - _FIELDS)
    if unknown:
        raise ValueError(f"{where}: nobody knows {', '.join(unknown)}; there are {', '.join(sorted(_FIELDS))}")
    _check(stated, where)
    methods = stated.get("methods")
    try:
        return Rule(**{**stated, "methods": None if methods is None else tuple(methods)})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def _check(stated: Mapping[str, Any], where: str) -> None:
    """Raise for a value of another type: what a file says is not believed for its place."""
    closed = {"action": get_args(ActionName), "purpose": (*get_args(Purpose), None)}
    for name, words in closed.items():
        if name in stated and stated[name] not in words:
            raise ValueError(f"{where}: {name} is one of {', '.join(str(one) for one in words if one)}")
    for name in ("resource", "path", "digest", "resource_type"):
        if name in stated and not isinstance(stated[name], str):
            raise ValueError(f"{where}: {name} is to be text")
    size, shards = stated.get("max_body_bytes", 0), stated.get("by_shards", False)
    if type(size) is not int or size < 0:
        raise ValueError(f"{where}: max_body_bytes is to be a whole number")
    if shards is not False:
        raise ValueError(f"{where}: by_shards is for an application that reads the capability by itself")
    methods = stated.get("methods")
    if methods is not None and not (
        isinstance(methods, list) and methods and all(isinstance(one, str) and one == one.upper() for one in methods)
    ):
        raise ValueError(f'{where}: methods is a list such as ["POST"], in capitals')
