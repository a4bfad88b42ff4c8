import json

import pytest

from controlplane.authoring import AuthoringError, PolicyFolder, Tools
from controlplane.authoring.deciding import check_examples, check_requirements, without_one
from controlplane.authoring.describing import check_descriptions
from tests.controlplane.authoring.breaking import INFERENCE, append, replace

DENIED = "ztfm/inference/examples/denied_over_budget.json"


def test_a_requirement_without_a_text_is_found_where_it_is_shown(tools: Tools, folder: PolicyFolder) -> None:
    path = folder.root / "data/reasons/data.json"
    texts = json.loads(path.read_text())
    del texts["inference_sized"]
    path.write_text(json.dumps(texts))
    [found] = check_requirements(tools, folder)
    assert "inference_sized has no text" in found.message
    assert found.file == INFERENCE
    assert 'contains "inference_sized"' in (folder.root / INFERENCE).read_text().splitlines()[found.line - 1]


def test_a_text_that_nothing_requires_is_found(tools: Tools, folder: PolicyFolder) -> None:
    replace(
        folder, "data/reasons/data.json", '"window_open"', '"spare": {"message": "M.", "remedy": "R."}, "window_open"'
    )
    [found] = check_requirements(tools, folder)
    assert "requires spare" in found.message


def test_a_remedy_that_is_no_sentence_is_found(tools: Tools, folder: PolicyFolder) -> None:
    replace(folder, "data/reasons/data.json", "Try again within the window that the operator announced.", "Try again")
    [found] = check_requirements(tools, folder)
    assert found.message == "The remedy of window_open is no sentence."


HOLES = {
    "nothing required": ("required := {", "required := set() if count(input) == 0\n\nrequired := {"),
    "nothing decided": ("decision := verdict.of", 'decision := {"allow": true} if false\n\nunused := verdict.of'),
    "allowed by an empty input": (
        "decision := verdict.of(required, missing, granted)",
        'decision := {"allow": true, "reasons": [], "rules": ["a"], "obligations": {}, "ttl_seconds": 30}',
    ),
    "no decision": (
        "decision := verdict.of(required, missing, granted)",
        'decision := {"allow": "yes", "rules": ["a"]}',
    ),
}


@pytest.mark.parametrize("hole", sorted(HOLES))
def test_a_decision_that_requires_nothing_of_some_input_is_found(tools: Tools, folder: PolicyFolder, hole: str) -> None:
    name = "ztfm/inference/required.rego" if hole == "nothing required" else INFERENCE
    old, new = HOLES[hole]
    if hole == "nothing required":
        text = (folder.root / name).read_text()
        head, _, body = text.partition(old)
        (folder.root / name).write_text(
            f"{head}required := set() if not input.subject\n\nrequired := {{{body.rstrip()} if input.subject\n"
        )
    else:
        replace(folder, name, old, new)
    found = [item for item in check_requirements(tools, folder) if item.file.startswith("ztfm/inference")]
    expected = {
        "nothing required": "Nothing is required for {}.",
        "nothing decided": "undefined for {}",
        "allowed by an empty input": "An empty input is allowed.",
        "no decision": "not of its form: allow",
    }[hole]
    assert any(expected in item.message for item in found), found


def test_what_is_required_of_less_than_an_example_is_looked_at(tools: Tools, folder: PolicyFolder) -> None:
    name = "ztfm/inference/required.rego"
    head, _, body = (folder.root / name).read_text().partition("required := {")
    (folder.root / name).write_text(
        f'{head}default required := {{"subject_known"}}\n\n'
        "required := set() if {\n\tinput.subject.type\n\tnot input.context.usage.tokens\n}\n\n"
        f"required := {{{body.rstrip()} if input.context.usage.tokens\n"
    )
    found = [item.message for item in check_requirements(tools, folder) if item.file == name]
    assert any("without context" in message for message in found), found


def test_a_decision_without_an_allowed_or_a_denied_example_is_found(tools: Tools, folder: PolicyFolder) -> None:
    for path in (folder.root / "ztfm/enrolment/examples").glob("allowed_*"):
        path.unlink()
    [found] = check_examples(tools, folder)
    assert found.message == "No example is allowed."
    assert found.file == "ztfm/enrolment/policy.rego"


BAD = {
    "no JSON": ("{", "", "it cannot be read"),
    "another form": ('"title"', '"name"', "not of the form"),
    "a mistyped decision": ('"decision": false', '"decision": "no"', "decision is of the wrong type"),
    "no sentence": ('minute."', 'minute"', "The title is no sentence."),
    "a fact that no contract has": ('"usage"', '"usages"', "context.usage: Field required."),
    "no reasons": ('"reasons": [', '"reasons": [], "x": [', "not of the form"),
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_an_example_that_is_not_of_its_form_is_found(tools: Tools, folder: PolicyFolder, what: str) -> None:
    old, new, expected = BAD[what]
    path = folder.root / DENIED
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    found = [item for item in check_examples(tools, folder) if item.file == DENIED]
    assert any(expected in item.message for item in found), found


def test_an_example_is_named_after_its_decision(tools: Tools, folder: PolicyFolder) -> None:
    path = folder.root / DENIED
    path.rename(path.with_name("allowed_over_budget.json"))
    [found] = check_examples(tools, folder)
    assert "not named denied_" in found.message


def test_a_package_or_a_decision_without_metadata_is_found(tools: Tools, folder: PolicyFolder) -> None:
    replace(folder, INFERENCE, "# entrypoint: true\n", "")
    replace(folder, INFERENCE, "#   - input: schema.input.inference\n", "#   - input: schema.input.other\n")
    replace(folder, "ztfm/lib/rounds/rounds.rego", "# title: Rounds\n", "")
    found = {item.message for item in check_descriptions(tools, folder)}
    assert found == {
        "The rule `decision` is no entry point.",
        "The package is not checked against schema.input.inference: a misspelt input would go unseen.",
        "The METADATA of ztfm.lib.rounds has no title.",
    }


def test_a_package_that_nobody_described_is_found(tools: Tools, folder: PolicyFolder) -> None:
    path = folder.root / "ztfm/lib/rounds/rounds.rego"
    path.write_text(path.read_text().partition("package ")[2].join(["package ", ""]))
    [found] = check_descriptions(tools, folder)
    assert found.message == "The package ztfm.lib.rounds is not described."


def test_each_field_is_taken_away_once() -> None:
    document = {"a": {"b": 1, "c": {"d": 2}}, "e": [1]}
    assert dict(without_one(document)) == {
        "a": {"e": [1]},
        "a.b": {"a": {"c": {"d": 2}}, "e": [1]},
        "a.c": {"a": {"b": 1}, "e": [1]},
        "a.c.d": {"a": {"b": 1, "c": {}}, "e": [1]},
        "e": {"a": {"b": 1, "c": {"d": 2}}},
    }
    assert document == {"a": {"b": 1, "c": {"d": 2}}, "e": [1]}


def test_a_contradiction_of_two_rules_is_told_with_its_place(tools: Tools, folder: PolicyFolder) -> None:
    append(folder, "ztfm/inference/required.rego", '\nrequired := {"subject_known"} if input.subject\n')
    with pytest.raises(AuthoringError, match=r"ztfm/inference/\w+\.rego:\d+: .*conflict|complete rules"):
        check_requirements(tools, folder)
