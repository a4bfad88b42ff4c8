"""Read the request that is to be decided, and find the package that decides it."""

import json
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from controlplane.authoring.errors import AuthoringError
from controlplane.authoring.folder import EXTRA, OTHER, PolicyFolder
from controlplane.contracts.facts import FACTS
from controlplane.contracts.facts.admin import AdminActionName
from controlplane.contracts.site import SITE_FACTS

_NAMED_OTHERWISE = {"enrol": "enrolment", "respond": "response"}
"""Packages by the action that they decide, where it has another name."""


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        package: that is asked, as the control plane asks it.
        facts: its input.
    """

    package: str
    facts: dict[str, Any]


def read_request(folder: PolicyFolder, action: str, text: str) -> Request:
    """Return the request that an example, a recorded decision or a bare document of facts holds.

    Args:
        folder: of the policies.
        action: a decision (``inference``), a type of one's own (``door``), or the name of any action (``device:read``).
        text: JSON; of an example ``input`` is read, of a record ``facts``.

    Raises:
        AuthoringError: it is no JSON, does not fit the contract, or nothing decides that action.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise AuthoringError(f"the input is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise AuthoringError("the input is not a JSON object")
    facts = next((document[name] for name in ("facts", "input") if isinstance(document.get(name), dict)), document)
    package = _package(folder, action, facts)
    try:
        {**FACTS, **SITE_FACTS}[package].model_validate_json(json.dumps(facts))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        shown = "\n".join(f"  {_path(item['loc'])}: {item['msg']}" for item in wrong[:10])
        raise AuthoringError(
            "the control plane would refuse this before policy sees it "
            f"(see docs/policy-reference.md#input-of-{package}):\n{shown}"
        ) from None
    return Request(package, facts)


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc) or "input"


def _package(folder: PolicyFolder, action: str, facts: dict[str, Any]) -> str:
    if action in FACTS or (action in SITE_FACTS and action in folder.decisions()):
        return action
    if action in get_args(AdminActionName):
        _same(facts, ("action", "name"), action)
        return "admin"
    if action in _NAMED_OTHERWISE:
        return _NAMED_OTHERWISE[action]
    if f"{EXTRA}/{action}" in folder.decisions():
        _same(facts, ("resource", "type"), action)
        return OTHER
    named = facts.get("action")
    if isinstance(named, dict) and named.get("name") == action:
        return OTHER
    known = ", ".join(name.removeprefix(f"{EXTRA}/") for name in folder.decisions())
    raise AuthoringError(
        f"nothing decides {action!r}; there are: {known}, and the actions of the control plane's own API"
    )


def _same(facts: dict[str, Any], path: tuple[str, str], expected: str) -> None:
    outer = facts.get(path[0])
    found = outer.get(path[1]) if isinstance(outer, dict) else None
    if found != expected:
        raise AuthoringError(f"the input's {path[0]}.{path[1]} is {found!r} and not {expected!r}")
