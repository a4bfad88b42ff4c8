"""Whether decisions hold to their form: asked of OPA itself, with the examples and with what is left of them."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from controlplane.authoring.asking import ask
from controlplane.authoring.findings import Finding, line_of, place_of_code
from controlplane.authoring.folder import OTHER, Example, PolicyFolder, read_example
from controlplane.authoring.tools import Tools
from controlplane.contracts.decision import PolicyDecision
from controlplane.contracts.facts import FACTS
from controlplane.contracts.site import SITE_FACTS

_FORM = "required := {...}; satisfied contains ... if {...}; missing := required - satisfied"


def check_examples(_tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find decisions without an allowed or a denied example, and examples that are not of their form."""
    findings: list[Finding] = []
    for package in folder.decisions():
        sides = set()
        for path in folder.example_files(package):
            example = read_example(package, path)
            findings += example_findings(folder, path, example)
            if isinstance(example, Example):
                sides.add(example.decision)
        for side in sorted({True, False} - sides):
            # What `other` allows, a package allows that an author adds.
            if (package, side) != (OTHER, True):
                findings.append(_no_example(folder, package, side))
    return findings


def example_findings(folder: PolicyFolder, path: Path, example: Example | str) -> list[Finding]:
    """Find where an example is not of its form; a text says why the file holds none."""
    name = path.relative_to(folder.root).as_posix()
    if isinstance(example, str):
        remedy = 'Write {"title": "...", "input": {...}, "decision": false, "reasons": ["code"]}.'
        return [Finding(name, 1, "examples", f"{path.name}: {example}.", remedy)]
    return [Finding(name, line, "examples", message, remedy) for line, message, remedy in _example(example)]


def _no_example(folder: PolicyFolder, package: str, side: bool) -> Finding:
    word = "allowed" if side else "denied"
    place = folder.root / "ztfm" / package
    named = place / "policy.rego"
    file = named if named.exists() else min(place.glob("*.rego"), default=place)
    remedy = f"Add examples/{word}_<what>.json; `ztfm policy eval {package.split('/')[-1]}` says how it is decided."
    return Finding(file.relative_to(folder.root).as_posix(), 1, "examples", f"No example is {word}.", remedy)


def _example(example: Example) -> Iterator[tuple[int, str, str]]:
    word = "allowed_" if example.decision else "denied_"
    if not example.name.startswith(word):
        yield line_of(example.path, '"decision"'), f"The file is not named {word}*.", "Name it after its decision."
    if not example.title.endswith("."):
        yield (
            line_of(example.path, '"title"'),
            "The title is no sentence.",
            "Say what happens, and end with a full stop.",
        )
    if example.decision == bool(example.reasons) or example.reasons != sorted(example.reasons):
        remedy = "A denied example lists the codes in order; an allowed one lists none."
        yield line_of(example.path, '"reasons"'), "The reasons do not fit the decision.", remedy
    try:
        {**FACTS, **SITE_FACTS}[example.contract].model_validate(example.input)
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            path = ".".join(str(part) for part in item["loc"])
            remedy = "See docs/policy-reference.md for what may be there."
            yield (
                line_of(example.path, f'"{item["loc"][-1]}"') if item["loc"] else 1,
                f"{path}: {item['msg']}.",
                remedy,
            )


def check_requirements(tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find inputs for which nothing is required or nothing is decided, and reasons without texts.

    Every decision is asked with nothing, with each example, and with each example less one field.
    """
    questions, answers = probe(tools.opa, folder)
    findings: dict[tuple[str, str], Finding] = {}
    codes: dict[str, str] = {}
    for question, (package, _) in questions.items():
        answer, about = answers.get(question), question.partition(" ")[2]
        problem = _form(answer, about)
        if problem:
            findings.setdefault((package, problem[0]), _at_required(folder, package, problem))
        if isinstance(answer, dict) and isinstance(answer.get("rules"), list):
            codes.update({code: package for code in answer["rules"] if isinstance(code, str)})
    return [*findings.values(), *text_findings(folder, codes)]


def probe(opa: Path, folder: PolicyFolder) -> tuple[dict[str, tuple[str, Any]], dict[str, Any]]:
    """Ask every decision with nothing, with each example, and with examples less one field.

    Of examples that the same is required of, one loses the field. Returns the questions, packages and facts by
    ``<package> <what it is asked with>``, and the answers.

    Raises:
        AuthoringError: the policies do not compile.
    """
    questions: dict[str, tuple[str, Any]] = {f"{package} {{}}": (package, {}) for package in folder.decisions()}
    examples = folder.examples()
    questions |= {f"{example.package} {example.name}": (example.package, example.input) for example in examples}
    answers = ask(opa, folder, questions)
    less: dict[tuple[str, str, str], tuple[str, tuple[str, Any]]] = {}
    for example in examples:
        answer = answers.get(f"{example.package} {example.name}")
        rules = json.dumps(answer.get("rules") if isinstance(answer, dict) else None)
        for path, facts in without_one(example.input):
            name = f"{example.package} {example.name} without {path}"
            less.setdefault((example.package, rules, path), (name, (example.package, facts)))
    variants = dict(less.values())
    return questions | variants, answers | ask(opa, folder, variants)


def without_one(document: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give a document less one of its fields, for each of them, with the path of what is missing."""
    for path in list(_paths(document, at)):
        less = copy.deepcopy(document)
        inner = less
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        yield ".".join(path), less


def _paths(value: Any, at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*at, key)
            yield from _paths(item, (*at, key))


def _form(answer: Any, about: str) -> tuple[str, str, str] | None:
    """Return kind, message and remedy of what is wrong with an answer, if anything is."""
    if answer is None:
        message = f"The decision is undefined for {about}: that counts as an error."
        return "undefined", message, "Let `decision` always have a value, and use `default` for what it is made of."
    if isinstance(answer, dict) and answer.get("rules") == []:
        message = f"Nothing is required for {about}."
        return "empty", message, f"Let `required` always name something, with `default` where it depends: {_FORM}"
    try:
        decision = PolicyDecision.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        message = f"The decision for {about} is not of its form: {path}: {first['msg']}."
        return "form", message, "Make it with verdict.of(required, missing, granted)."
    if decision.allow and about == "{}":
        return "open", "An empty input is allowed.", f"Show each requirement from values: {_FORM}"
    return None


def _at_required(folder: PolicyFolder, package: str, problem: tuple[str, str, str]) -> Finding:
    files = [path for path in folder.rego_files() if path.parent == folder.root / "ztfm" / package]
    _, message, remedy = problem
    for word in ("required :=", "required contains", "decision :="):
        for path in files:
            line = line_of(path, word)
            if word in path.read_text():
                return Finding(path.relative_to(folder.root).as_posix(), line, "requirements", message, remedy)
    return Finding(f"ztfm/{package}", 1, "requirements", message, remedy)


def text_findings(folder: PolicyFolder, codes: dict[str, str]) -> Iterator[Finding]:
    """Find codes without a text, texts without a code, and texts that are no sentences.

    Args:
        folder: of the policies.
        codes: of all requirements, each with the package that has it.
    """
    texts, file = folder.reasons(), folder.reasons_file
    name = file.relative_to(folder.root).as_posix()
    for code in sorted(set(codes) - set(texts)):
        place = place_of_code(folder.rules_of(codes[code]), code) or (file, 1)
        remedy = f"Add it to {name}: a message, and a remedy that whoever was denied can act on."
        where = place[0].relative_to(folder.root).as_posix()
        yield Finding(where, place[1], "requirements", f"The reason {code} has no text.", remedy)
    for code in sorted(set(texts) - set(codes)):
        message = f"No example and no decision requires {code}."
        remedy = "Remove the text, or add an example of a decision that requires it."
        yield Finding(name, line_of(file, f'"{code}"'), "requirements", message, remedy)
    for code in sorted(set(texts) & set(codes)):
        for part in ("message", "remedy"):
            if not str(texts[code].get(part, "")).endswith("."):
                message, remedy = f"The {part} of {code} is no sentence.", "Say it in words, and end with a full stop."
                yield Finding(name, line_of(file, f'"{code}"'), "requirements", message, remedy)
