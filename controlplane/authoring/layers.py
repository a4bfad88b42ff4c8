"""What the policies of a tenant or a site must hold to: they stand alone, answer every question and only narrow."""

from collections.abc import Iterator
from typing import Any

from controlplane.authoring.asking import ask, evaluate
from controlplane.authoring.deciding import example_findings, text_findings, without_one
from controlplane.authoring.findings import Finding
from controlplane.authoring.folder import PolicyFolder, read_example
from controlplane.authoring.layerfolder import LayerFolder
from controlplane.authoring.tools import Tools, call_for_json

_OWN = "Use input and what the layer itself holds; a layer is evaluated by itself where no OPA is."
_ANSWER = 'Answer each id of each package: answers[id] := {"required": {...}, "proven": {...}}.'
_FAULTS = {
    "layer_silent": "The batch does not answer",
    "layer_malformed": "The batch has no answer of its form",
    "layer_unavailable": "The batch has no answers at all",
}
_MEMBERS = {"required", "proven", "quarantine", "ttl_seconds", "watch"}


def check_confined(tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find what is not the layer's own: files beside its folder, references to other layers, rules called `allow`."""
    if not isinstance(folder, LayerFolder):
        return []
    found = []
    for path in [*folder.rego_files(), *folder.rego_files(tests=True), *folder.root.rglob("data.json")]:
        name = path.relative_to(folder.root)
        if name.parts[0] != folder.layer:
            message, remedy = f"The file is outside of {folder.layer}/.", f"Move it below {folder.layer}/, or away."
            found.append(Finding(name.as_posix(), 1, "confined", message, remedy))
    for path in folder.rego_files():
        file = path.relative_to(folder.root).as_posix()
        arguments = ("parse", "--format", "json", "--json-include", "locations", file)
        parsed = call_for_json(tools.opa, *arguments, cwd=folder.root)
        parts = [parsed.get("imports"), parsed.get("rules")] if isinstance(parsed, dict) else []
        for line, said in sorted({item for part in parts for item in _strangers(part, folder.layer)}):
            found.append(Finding(file, line, "confined", f"{said} is not of the layer {folder.layer}.", _OWN))
        for rule in (parsed.get("rules") if isinstance(parsed, dict) else None) or ():
            if rule["head"].get("name") == "allow":
                remedy = "Name what must hold in `required`, and show it in `proven`."
                found.append(Finding(file, _line(rule["head"]), "confined", "A layer cannot allow.", remedy))
    return found


def _strangers(node: Any, layer: str) -> Iterator[tuple[int, str]]:
    """Give line and text of each reference to data that is not surely below the layer's own."""
    if isinstance(node, list):
        for item in node:
            yield from _strangers(item, layer)
        return
    if not isinstance(node, dict):
        return
    path: list[dict[str, Any]] = node["value"] if node.get("type") == "ref" else []
    if not path or path[0]["value"] != "data":
        for item in node.values():
            yield from _strangers(item, layer)
        return
    second = path[1] if len(path) > 1 else None
    if second is None:
        yield _line(node), "data as a whole"
    elif second.get("type") != "string":
        yield _line(node), "data[...]"
    elif second.get("value") != layer:
        yield _line(node), f"data.{second['value']}"
    yield from _strangers(path[1:], layer)


def _line(node: dict[str, Any]) -> int:
    return int(node.get("location", {}).get("row", 1))


def check_answers(tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find questions without an answer of its form, and reasons without texts.

    Each decision is asked about with nothing, with the product's examples and the layer's own, and with each of them
    less one field.
    """
    if not isinstance(folder, LayerFolder):
        return []
    questions = _questions(folder)
    asked: dict[str, dict[str, Any]] = {}
    for name, (package, facts) in questions.items():
        asked.setdefault(package, {})[name] = facts
    query = f"answers := data.{folder.layer}.batch.answers"
    result = evaluate(tools.opa, folder, query, asked).get("result") or [{"bindings": {"answers": {}}}]
    answers, decisions = result[0]["bindings"]["answers"], ask(tools.opa, folder, questions)
    file = min((folder.root / folder.layer / "batch").glob("*.rego"), default=folder.root / folder.layer)
    place = file.relative_to(folder.root).as_posix()
    findings: dict[tuple[str, str], Finding] = {}
    for name, (package, _) in questions.items():
        problem = _problem(folder, answers.get(name), decisions.get(name))
        if problem:
            message = f"{problem[0]} to {name}."
            findings.setdefault((package, problem[0]), Finding(place, 1, "answers", message, problem[1]))
    codes = {code for answer in answers.values() for code in _required(answer)}
    if not codes and not findings:
        remedy = "Let a rule name something in `required`; a layer that asks for nothing is better left out."
        findings["", ""] = Finding(place, 1, "answers", "Nothing is ever required.", remedy)
    return [*findings.values(), *text_findings(folder, dict.fromkeys(codes, ""))]


def _questions(folder: LayerFolder) -> dict[str, tuple[str, Any]]:
    questions: dict[str, tuple[str, Any]] = {f"{package} {{}}": (package, {}) for package in folder.decisions()}
    seen: set[tuple[str, str]] = set()
    for example in [*folder.examples(), *PolicyFolder(folder.built_in, folder.built_in).examples()]:
        name = f"{example.package} {example.name}"
        questions[name] = (example.contract, example.input)
        for path, facts in without_one(example.input):
            if (example.contract, path) not in seen:
                seen.add((example.contract, path))
                questions[f"{name} without {path}"] = (example.contract, facts)
    return questions


def _problem(folder: LayerFolder, answer: Any, decision: Any) -> tuple[str, str] | None:
    if isinstance(answer, dict) and set(answer) - _MEMBERS:
        more = ", ".join(sorted(set(answer) - _MEMBERS))
        return f"There is more than a layer may say ({more}) in the answer", f"Leave it out: a layer narrows. {_ANSWER}"
    reasons = decision.get("reasons", ()) if isinstance(decision, dict) else ()
    faults = {folder.own_code(reason["code"]) for reason in reasons} & set(_FAULTS)
    if decision is None or faults:
        return _FAULTS[min(faults, default="layer_malformed")], _ANSWER
    return None


def _required(answer: Any) -> list[str]:
    required = answer.get("required") if isinstance(answer, dict) else None
    return [code for code in required if isinstance(code, str)] if isinstance(required, list) else []


def check_layer_examples(_tools: Tools, folder: PolicyFolder) -> list[Finding]:
    """Find that no example is allowed or none is denied, and examples that are not of their form."""
    findings: list[Finding] = []
    sides = set()
    paths = [(package, path) for package in folder.decisions() for path in folder.example_files(package)]
    for package, path in paths:
        example = read_example(package, path)
        findings += example_findings(folder, path, example)
        if not isinstance(example, str):
            sides.add(example.decision)
    place = _first(folder)
    for side in sorted({True, False} - sides):
        word = "allowed" if side else "denied"
        remedy = f"Add examples/<decision>/{word}_<what>.json below the layer, such as examples/model_access."
        findings.append(Finding(place, 1, "examples", f"No example is {word}.", remedy))
    return findings


def _first(folder: PolicyFolder) -> str:
    return min((path.relative_to(folder.root).as_posix() for path in folder.rego_files()), default=".")
