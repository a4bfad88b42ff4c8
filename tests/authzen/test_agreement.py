"""A search says what evaluations say: no more, no less, whatever is asked."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.authzen.pdp import Pdp

EVALUATION, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
SEARCH = "/access/v1/search/"

_VALUES = st.sampled_from(["archived", "active", "admin", "member", True, False, None, 0, "", {"deep": [1]}])
PROPERTIES = st.dictionaries(st.sampled_from(["status", "role", "soft", "other"]), _VALUES, max_size=3)
USERS = ["alice", "bob", "mallory", "record-1"]
RECORDS = ["record-1", "record-2", "record-3", "alice"]
NAMES = ["read", "write", "delete", "burn", "inference"]


@st.composite
def entities(draw: st.DrawFn, types: list[str], names: list[str]) -> dict[str, Any]:
    """An entity, most often one of the fixture, with properties or without."""
    entity = {"type": draw(st.sampled_from([types[0]] * 4 + types)), "id": draw(st.sampled_from(names))}
    return {**entity, "properties": draw(PROPERTIES)} if draw(st.booleans()) else entity


SUBJECTS = entities(["user", "device", "spaceship"], USERS)
RESOURCES = entities(["record", "model", "spaceship"], RECORDS)
ACTIONS = st.builds(lambda name, told: {"name": name, "properties": told}, st.sampled_from(NAMES), PROPERTIES)
each = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def permitted(pdp: Pdp, base: dict[str, Any], elements: list[dict[str, Any]]) -> list[bool]:
    body = pdp.post(MANY, {**base, "evaluations": elements}).expect(200)
    return [answer["decision"] for answer in body["evaluations"]]


def searched(pdp: Pdp, kind: str, request: dict[str, Any]) -> list[Any]:
    body = pdp.post(SEARCH + kind, request).expect(200)
    assert body["page"]["next_token"] == ""
    found: list[Any] = body["results"]
    return found


@each
@given(subject=SUBJECTS, action=ACTIONS, resource=RESOURCES, context=PROPERTIES)
def test_subjects(pdp: Pdp, subject: Any, action: Any, resource: Any, context: Any) -> None:
    base = {"action": action, "resource": resource, "context": context}
    found = searched(pdp, "subject", {**base, "subject": subject})
    decisions = permitted(pdp, base, [{"subject": {**subject, "id": name}} for name in USERS])
    assert [item["id"] for item in found] == [name for name, allowed in zip(USERS, decisions, strict=True) if allowed]


@each
@given(subject=SUBJECTS, action=ACTIONS, resource=RESOURCES, context=PROPERTIES)
def test_resources(pdp: Pdp, subject: Any, action: Any, resource: Any, context: Any) -> None:
    base = {"subject": subject, "action": action, "context": context}
    found = searched(pdp, "resource", {**base, "resource": resource})
    decisions = permitted(pdp, base, [{"resource": {**resource, "id": name}} for name in RECORDS])
    assert [item["id"] for item in found] == [name for name, allowed in zip(RECORDS, decisions, strict=True) if allowed]


@each
@given(subject=SUBJECTS, resource=RESOURCES, context=PROPERTIES)
def test_actions(pdp: Pdp, subject: Any, resource: Any, context: Any) -> None:
    base = {"subject": subject, "resource": resource, "context": context}
    found = searched(pdp, "action", base)
    decisions = permitted(pdp, base, [{"action": {"name": name}} for name in NAMES])
    allowed = {name for name, decision in zip(NAMES, decisions, strict=True) if decision}
    assert {item["name"] for item in found} == allowed
