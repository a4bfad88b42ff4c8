"""Ask OPA itself, once, for many decisions of a policy folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controlplane.authoring.errors import AuthoringError
from controlplane.authoring.folder import PolicyFolder
from controlplane.authoring.layerfolder import LayerFolder
from controlplane.authoring.tools import call_for_json

_ASKED = "    {{id: answer | some id, facts in input[{quoted}]; answer := {path}.decision with input as facts}},"


def ask(opa: Path, folder: PolicyFolder, questions: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Return decision documents by question; those that a package leaves undefined are absent.

    A layer's are those of a base that allows everything, narrowed.

    Args:
        opa: path of OPA.
        folder: of the policies.
        questions: package (``inference``, ``extra/door``) and facts, by a name of one's own.

    Raises:
        AuthoringError: the policies do not compile, or contradict themselves.
    """
    asked: dict[str, dict[str, Any]] = {}
    for name, (package, facts) in questions.items():
        asked.setdefault(package, {})[name] = facts
    if not asked:
        return {}
    if isinstance(folder, LayerFolder):
        return _answers(evaluate(opa, folder, f"answers := {folder.combination}", asked))
    # `with` does not reach what a variable names, so each package is named in the query.
    lines = [_ASKED.format(quoted=json.dumps(package), path=_path(package)) for package in asked]
    query = "answers := object.union_n([\n" + "\n".join(lines) + "\n])"
    return _answers(evaluate(opa, folder, query, asked))


def _answers(answer: dict[str, Any]) -> dict[str, Any]:
    try:
        answers: dict[str, Any] = answer["result"][0]["bindings"]["answers"]
    except (KeyError, IndexError):
        raise AuthoringError("the policies have no batch that answers: see docs/policy-authoring.md") from None
    return answers


def _path(package: str) -> str:
    return "data.ztfm" + "".join(f"[{json.dumps(part)}]" for part in package.split("/"))


def evaluate(opa: Path, folder: PolicyFolder, query: str, document: Any, *options: str) -> dict[str, Any]:
    """Return what ``opa eval`` answers to a query over the folder, with ``document`` as its input.

    Raises:
        AuthoringError: OPA refuses; the message is its own, with file and line.
    """
    arguments = ["eval", "--format", "json", "--bundle", ".", "--ignore", "*_test.rego", "--stdin-input", *options]
    if isinstance(folder, LayerFolder):
        arguments += ["--data", str(folder.combining)]
    answer = call_for_json(opa, *arguments, query, cwd=folder.root, stdin=json.dumps(document))
    if not isinstance(answer, dict) or answer.get("errors"):
        raise AuthoringError(told(answer))
    return answer


def told(answer: Any) -> str:
    """Return OPA's errors in lines of ``file:line: message``."""
    errors = answer.get("errors", []) if isinstance(answer, dict) else []
    lines = []
    for error in errors:
        place = error.get("location") or {}
        lines.append(f"{place.get('file', 'policies')}:{place.get('row', 1)}: {error.get('message', error)}")
    return "\n".join(lines) or "OPA gave no answer"
