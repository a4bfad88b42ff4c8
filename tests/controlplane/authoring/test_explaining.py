import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.authoring import AuthoringError, PolicyFolder, Tools, create, explain, read_request
from controlplane.authoring.folder import Example
from tests.controlplane.authoring.breaking import INFERENCE, replace
from tests.controlplane.authoring.conftest import POLICIES

EXAMPLES = PolicyFolder.open(POLICIES, POLICIES).examples()


def telling() -> Iterator[Example]:
    """Examples of each reason of each package, and of each package's yes: an OPA starts for each."""
    seen: set[tuple[str, str]] = set()
    for example in EXAMPLES:
        new = {(example.package, code) for code in example.reasons or ["allowed"]} - seen
        if new:
            seen |= new
            yield example


def facts_of(name: str) -> dict[str, Any]:
    return copy.deepcopy(next(example.input for example in EXAMPLES if example.name == name))


@pytest.mark.parametrize("example", list(telling()), ids=lambda example: f"{example.package}-{example.name}")
def test_an_explanation_agrees_with_the_example_and_names_rules_that_are_there(
    tools: Tools, product: PolicyFolder, example: Example
) -> None:
    action = example.package.removeprefix("extra/")
    found = explain(tools.opa, product, read_request(product, action, example.path.read_text()))
    assert found.allow == example.decision
    missing = [item for item in found.requirements if not (item.held or item.waived)]
    assert sorted(item.code for item in missing) == example.reasons
    assert all(item.message and item.remedy for item in missing)
    for item in found.requirements:
        line = (product.root / item.file).read_text().splitlines()[item.line - 1]
        assert f'"{item.code}"' in line, (item.code, item.file, item.line)


def test_the_values_that_a_missing_requirement_read_are_shown(tools: Tools, product: PolicyFolder) -> None:
    request = read_request(product, "inference", json.dumps(facts_of("denied_over_budget")))
    [missing] = [item for item in explain(tools.opa, product, request).requirements if not item.held]
    assert missing.code == "tokens_within_budget"
    [condition] = missing.conditions
    assert condition.text == "roles[role].grants.inference.tokens - (input.context.usage.tokens + asked) >= 0"
    assert condition.values == {
        "input.context.usage.tokens": request.facts["context"]["usage"]["tokens"],
        "asked": 88,
        "data.data.roles.consumer.grants.inference.tokens": 200000,
    }


def test_what_other_rules_came_to_is_shown_with_the_input_behind_it(tools: Tools, product: PolicyFolder) -> None:
    request = read_request(product, "inference", json.dumps(facts_of("denied_quarantined")))
    missing = {item.code: item for item in explain(tools.opa, product, request).requirements if not item.held}
    [condition] = missing["trust_sufficient"].conditions
    assert condition.values == {
        "trust": 0.18,
        "input.subject.properties.trust.score": 0.18,
        "model.terms.trust_minimum": 0.25,
        "input.resource.id": "smart-home-intents",
    }


def test_what_is_not_there_is_said_to_be_undefined(tools: Tools, product: PolicyFolder) -> None:
    facts = facts_of("allowed_trusted")
    del facts["subject"]["properties"]
    request = read_request(product, "inference", json.dumps(facts))
    missing = {item.code: item for item in explain(tools.opa, product, request).requirements if not item.held}
    values = {key: value for one in missing["subject_active"].conditions for key, value in one.values.items()}
    assert values == {"input.subject.properties.status": "undefined"}


def test_what_an_exception_waives_is_said(tools: Tools, folder: PolicyFolder) -> None:
    facts = facts_of("denied_over_budget")
    waiver = {
        "resource": facts["resource"]["id"],
        "action": "inference",
        "waives": {"tokens_within_budget": True},
        "approver": "operator@example.org",
        "reason": "A load test.",
        "from": "2025-11-01T00:00:00Z",
        "until": "2025-12-01T00:00:00Z",
    }
    path = folder.root / "data/exceptions/data.json"
    path.write_text(json.dumps({facts["subject"]["id"]: {"test": waiver}}))
    found = explain(tools.opa, folder, read_request(folder, "inference", json.dumps(facts)))
    assert found.allow
    assert [item.code for item in found.requirements if item.waived] == ["tokens_within_budget"]


def test_ones_own_type_is_asked_as_the_control_plane_asks(tools: Tools, folder: PolicyFolder) -> None:
    create(tools.opa, folder, "door")
    text = (folder.root / "ztfm/extra/door/examples/denied_not_granted.json").read_text()
    found = explain(tools.opa, folder, read_request(folder, "door", text))
    assert found.package == "ztfm.extra.door"
    assert [item.code for item in found.requirements if not item.held] == ["door_granted", "door_subject_known"]
    assert explain(tools.opa, folder, read_request(folder, "write", text)) == found


def test_a_recorded_decision_is_read(product: PolicyFolder) -> None:
    facts = facts_of("allowed_trusted")
    record = {"id": "dec-1", "action": "inference", "outcome": "allow", "facts": facts}
    assert read_request(product, "inference", json.dumps(record)).facts == facts


def test_an_admin_action_is_asked_of_the_admin_package(product: PolicyFolder) -> None:
    text = json.dumps(facts_of("denied_operator_revokes"))
    assert read_request(product, "device:set_status", text).package == "admin"
    with pytest.raises(AuthoringError, match=r"action\.name is 'device:set_status' and not 'device:read'"):
        read_request(product, "device:read", text)


@pytest.mark.parametrize(
    ("action", "package", "example"),
    [("enrol", "enrolment", "allowed_device"), ("respond", "response", "allowed_held")],
)
def test_an_action_that_its_package_calls_otherwise_is_asked_of_it(
    product: PolicyFolder, action: str, package: str, example: str
) -> None:
    assert read_request(product, action, json.dumps(facts_of(example))).package == package


BAD = {
    "no JSON": ("{", "no JSON"),
    "no object": ("[]", "not a JSON object"),
    "no facts": ("{}", "subject: Field required"),
    "a fact that nobody declared": (json.dumps({**facts_of("allowed_trusted"), "more": 1}), "more: Extra inputs"),
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_what_the_control_plane_would_refuse_is_no_decision(product: PolicyFolder, what: str) -> None:
    text, expected = BAD[what]
    with pytest.raises(AuthoringError, match=expected):
        read_request(product, "inference", text)


def test_an_unknown_action_is_told_what_there_is(product: PolicyFolder) -> None:
    with pytest.raises(AuthoringError, match="model_access"):
        read_request(product, "fly", json.dumps(facts_of("allowed_trusted")))


@pytest.mark.parametrize(
    ("decision", "expected"),
    [("decision := verdict.of(set(), set(), granted) if false", "is undefined"), ('decision := "yes"', "no decision")],
)
def test_what_is_no_decision_is_an_error_and_not_a_denial(
    tools: Tools, folder: PolicyFolder, decision: str, expected: str
) -> None:
    replace(folder, INFERENCE, "decision := verdict.of(required, missing, granted)", decision)
    request = read_request(folder, "inference", json.dumps(facts_of("allowed_trusted")))
    with pytest.raises(AuthoringError, match=expected):
        explain(tools.opa, folder, request)
