"""AuthZEN 1.0's certification scenario, every level of it, against a process of its own with a real OPA.

Names of cases are the sections of the scenario (openid/authzen, certification/authorization-api-1_0-scenario.md).
"""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.authzen.pdp import PUBLIC_URL, Pdp
from tests.support import Reply

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
SUBJECTS, RESOURCES, ACTIONS = (f"/access/v1/search/{kind}" for kind in ("subject", "resource", "action"))
METADATA = "/.well-known/authzen-configuration"

ALICE, BOB = {"type": "user", "id": "alice"}, {"type": "user", "id": "bob"}
ADMIN = {**BOB, "properties": {"role": "admin"}}
FIRST, SECOND = {"type": "record", "id": "record-1"}, {"type": "record", "id": "record-2"}
ACTIVE = {**FIRST, "properties": {"status": "active"}}
ARCHIVED = {**SECOND, "properties": {"status": "archived"}}
READ, WRITE = {"name": "read"}, {"name": "write"}
SOFT, HARD = ({"name": "delete", "properties": {"soft": soft}} for soft in (True, False))
CONTEXT = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}
USERS, RECORDS = {"type": "user"}, {"type": "record"}


def asked(subject: Any, action: Any, resource: Any, **others: Any) -> dict[str, Any]:
    return {"subject": subject, "action": action, "resource": resource, **others}


RICH = asked(
    {**ALICE, "properties": {"department": "Sales", "role": "manager"}},
    {"name": "read", "properties": {"method": "GET"}},
    {**FIRST, "properties": {"status": "active", "owner": "bob"}},
)
SINGLE = {
    "2.2.1 permit": (asked(ALICE, READ, FIRST), True),
    "2.2.2 deny": (asked(BOB, WRITE, FIRST), False),
    "rule 2": (asked(ALICE, WRITE, FIRST), True),
    "rule 3": (asked(BOB, READ, FIRST), True),
    "2.2.3 context": (asked(ALICE, READ, FIRST, context=CONTEXT), True),
    "2.2.4 resource properties": (asked(ALICE, WRITE, ARCHIVED), False),
    "2.2.5 subject properties": (asked(ADMIN, WRITE, ARCHIVED), True),
    "2.2.6 action properties": (asked(ALICE, SOFT, FIRST), True),
    "2.2.7 action properties": (asked(ALICE, HARD, FIRST), False),
    "2.2.8 additional properties": (RICH, True),
    "2.2.9 unknown fields": (asked(ALICE, READ, FIRST, foo="bar", futureField={"nested": True}), True),
}


@pytest.mark.parametrize("name", SINGLE)
def test_basic_decisions(pdp: Pdp, name: str) -> None:
    request, decision = SINGLE[name]
    reply = pdp.post(ONE, request)
    body = reply.expect(200)
    assert reply.headers["Content-Type"].split(";")[0] == "application/json"
    assert body["decision"] is decision
    assert isinstance(body.get("context", {}), dict)


def test_basic_5_a_context_changes_no_decision_of_the_fixture(pdp: Pdp) -> None:
    for request, decision in SINGLE.values():
        assert pdp.post(ONE, {**request, "context": CONTEXT}).expect(200)["decision"] is decision


MALFORMED = {
    "2.4.1 no subject": {"action": READ, "resource": FIRST},
    "2.4.1 no action": {"subject": ALICE, "resource": FIRST},
    "2.4.1 no resource": {"subject": ALICE, "action": READ},
    "2.4.2 no subject type": asked({"id": "alice"}, READ, FIRST),
    "2.4.2 no subject id": asked(USERS, READ, FIRST),
    "2.4.2 no action name": asked(ALICE, {}, FIRST),
    "2.4.2 no resource type": asked(ALICE, READ, {"id": "record-1"}),
    "2.4.2 no resource id": asked(ALICE, READ, RECORDS),
    "2.4.6 subject is a string": asked("alice", READ, FIRST),
    "2.4.6 name is a number": asked(ALICE, {"name": 123}, FIRST),
    "properties are a list": asked({**ALICE, "properties": ["admin"]}, READ, FIRST),
    "properties are null": asked({**ALICE, "properties": None}, READ, FIRST),
    "context is a string": asked(ALICE, READ, FIRST, context="noon"),
    "context is null": asked(ALICE, READ, FIRST, context=None),
    "not an object": [asked(ALICE, READ, FIRST)],
}


@pytest.mark.parametrize("path", [ONE, MANY])
@pytest.mark.parametrize("name", MALFORMED)
def test_basic_a_request_that_does_not_fit_is_400(pdp: Pdp, name: str, path: str) -> None:
    assert pdp.post(path, MALFORMED[name]).status == 400


@pytest.mark.parametrize("path", [ONE, MANY, SUBJECTS, RESOURCES, ACTIONS])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps(asked(ALICE, READ, FIRST)).encode(), "text/plain"),
        (json.dumps(asked(ALICE, READ, FIRST)).encode(), "application/x-www-form-urlencoded"),
        (json.dumps(asked(ALICE, READ, FIRST)).encode(), ""),
        (b'{"subject": {"type": "user", "id": "alice"', "application/json"),
        (b"{'subject': 1}", "application/json"),
        (b"", "application/json"),
        (b"null", "application/json"),
    ],
    ids=["2.4.3 text", "2.4.3 form", "2.4.3 none", "2.4.4 cut off", "2.4.4 no JSON", "2.4.5 empty", "null"],
)
def test_basic_what_cannot_be_read_is_400(pdp: Pdp, path: str, body: bytes, kind: str) -> None:
    reply = pdp.send("POST", path, body, {"Content-Type": kind} if kind else {})
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", [ONE, MANY, SUBJECTS, RESOURCES])
@pytest.mark.parametrize("document", [asked(ALICE, READ, FIRST), {}], ids=["answer", "error"])
def test_basic_2_5_the_request_id_comes_back(pdp: Pdp, path: str, document: Any) -> None:
    for name in ("bfe9eb29-ab87-4ca3-be83-a1d5d8305716", 'any/string = "is {an} id"', "x" * 1024):
        assert pdp.post(path, document, **{"X-Request-ID": name}).headers["X-Request-ID"] == name
    assert "X-Request-ID" not in pdp.post(path, document).headers


def test_basic_2_6_the_same_request_gets_the_same_decision(pdp: Pdp) -> None:
    for request, decision in SINGLE.values():
        assert {pdp.post(ONE, request).expect(200)["decision"] for _ in range(5)} == {decision}


BATCHES: dict[str, tuple[dict[str, Any], list[bool]]] = {
    "3.2.1 array": ({"subject": ALICE, "action": READ, "evaluations": [{"resource": FIRST}, {"resource": SECOND}]},
                    [True, True]),
    "3.2.2 order": ({"subject": BOB, "resource": FIRST, "evaluations": [{"action": READ}, {"action": WRITE}]},
                    [True, False]),
    "3.2.3 resource properties": (
        {"subject": ALICE, "action": WRITE, "evaluations": [{"resource": ACTIVE}, {"resource": ARCHIVED}]},
        [True, False]),
    "3.2.4 subject properties": (
        {"action": WRITE, "resource": ARCHIVED, "evaluations": [{"subject": ALICE}, {"subject": ADMIN}]},
        [False, True]),
    "3.2.5 no defaults": ({"evaluations": [asked(ALICE, READ, FIRST), asked(BOB, WRITE, FIRST)]}, [True, False]),
    "3.2.6 context": (
        {"subject": ALICE, "action": READ, "context": {"time": CONTEXT["time"]},
         "evaluations": [{"resource": FIRST},
                         {"resource": SECOND, "context": {"time": CONTEXT["time"], "source": "batch-override"}}]},
        [True, True]),
    "3.2.7 whole entities": (
        {"subject": ALICE, "action": WRITE, "resource": ACTIVE, "evaluations": [{}, {"resource": ARCHIVED}]},
        [True, False]),
    "unknown fields": (
        {"subject": ALICE, "action": READ, "foo": 1, "options": {"another_option": "value"},
         "evaluations": [{"resource": FIRST, "bar": {"x": 1}}]},
        [True]),
}  # fmt: skip


@pytest.mark.parametrize("name", BATCHES)
def test_batch_decisions(pdp: Pdp, name: str) -> None:
    request, decisions = BATCHES[name]
    body = pdp.post(MANY, request).expect(200)
    assert [answer["decision"] for answer in body["evaluations"]] == decisions
    assert "decision" not in body


def test_batch_3_4_1_an_error_stays_in_its_element(pdp: Pdp) -> None:
    odd = [{}, {"resource": "record-1"}, {"resource": FIRST, "subject": None}, {"resource": {"type": "record"}}]
    options = {"evaluations_semantic": "execute_all"}
    request = {"subject": ALICE, "action": READ, "options": options, "evaluations": [{"resource": FIRST}, *odd]}
    answers = pdp.post(MANY, request).expect(200)["evaluations"]
    assert [answer["decision"] for answer in answers] == [True, False, False, False, False]
    for index, answer in enumerate(answers[1:], 1):
        assert answer["context"]["error"]["status"] == 400
        assert answer["context"]["error"]["message"].startswith(f"/evaluations/{index}/")


@pytest.mark.parametrize("added", [{}, {"evaluations": []}], ids=["3.4.2 no array", "3.4.3 empty array"])
def test_batch_without_elements_is_a_single_evaluation(pdp: Pdp, added: dict[str, Any]) -> None:
    for request, decision in SINGLE.values():
        body = pdp.post(MANY, {**request, **added}).expect(200)
        assert body["decision"] is decision
        assert "evaluations" not in body


def results(reply: Reply) -> list[Any]:
    body = reply.expect(200)
    assert next(iter(body)) == "page"
    assert isinstance(body["page"]["next_token"], str)
    assert isinstance(body["results"], list)
    found: list[Any] = body["results"]
    return found


FOUND = {
    "4.2.1 subjects": (SUBJECTS, asked(USERS, READ, FIRST), [ALICE, BOB]),
    "4.2.2 subjects, context": (SUBJECTS, asked(USERS, READ, FIRST, context=CONTEXT), [ALICE, BOB]),
    "4.2.3 subjects, id ignored": (SUBJECTS, asked(ALICE, READ, FIRST), [ALICE, BOB]),
    "subjects, id of another type ignored": (SUBJECTS, asked({**USERS, "id": 7}, READ, FIRST), [ALICE, BOB]),
    "4.2.4 subjects, properties": (SUBJECTS, asked(USERS, WRITE, ARCHIVED), [BOB]),
    "4.3.1 resources": (RESOURCES, asked(ALICE, READ, RECORDS), [FIRST, SECOND]),
    "4.3.2 resources, context": (RESOURCES, asked(ALICE, READ, RECORDS, context=CONTEXT), [FIRST, SECOND]),
    "4.3.3 resources, id ignored": (RESOURCES, asked(ALICE, READ, FIRST), [FIRST, SECOND]),
    "4.3.4 resources, properties": (RESOURCES, asked(ADMIN, WRITE, RECORDS), [SECOND]),
    "4.4.1 actions": (ACTIONS, {"subject": ALICE, "resource": FIRST}, [READ, WRITE]),
    "4.4.2 actions, context": (ACTIONS, {"subject": ALICE, "resource": FIRST, "context": CONTEXT}, [READ, WRITE]),
    "4.4.3 actions, properties": (ACTIONS, {"subject": ADMIN, "resource": ARCHIVED}, [READ, WRITE]),
    "actions, action ignored": (ACTIONS, asked(BOB, "anything", FIRST), [READ]),
    "4.6.1 unknown subject, actions": (
        ACTIONS, {"subject": {"type": "user", "id": "nonexistent-user"}, "resource": FIRST}, []),
    "4.6.1 unknown subject, resources": (RESOURCES, asked({"type": "user", "id": "nobody"}, READ, RECORDS), []),
    "4.6.1 unknown resource": (SUBJECTS, asked(USERS, READ, {"type": "record", "id": "record-9"}), []),
    "4.6.2 unknown subject type": (SUBJECTS, asked({"type": "spaceship"}, READ, FIRST), []),
    "4.6.2 unknown resource type": (RESOURCES, asked(ALICE, READ, {"type": "spaceship"}), []),
    "4.6.2 unknown type, actions": (ACTIONS, {"subject": ALICE, "resource": {"type": "spaceship", "id": "1"}}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_search_results(pdp: Pdp, name: str) -> None:
    path, request, expected = FOUND[name]
    assert results(pdp.post(path, {**request, "foo": "ignored"})) == expected


def test_search_4_5_pages(pdp: Pdp) -> None:
    for path, request, expected in FOUND.values():
        found, page = [], {"limit": 1}
        for _ in range(len(expected) + 2):
            reply = pdp.post(path, {**request, "page": page})
            found += results(reply)
            assert reply.json["page"]["count"] == len(reply.json["results"]) <= 1
            token = reply.json["page"]["next_token"]
            if not token:
                break
            page = {"token": token}
        assert found == expected
        assert reply.json["page"]["next_token"] == ""


UNSEARCHABLE = {
    "4.7.1 subjects without action": (SUBJECTS, {"subject": USERS, "resource": FIRST}),
    "4.7.1 resources without subject": (RESOURCES, {"action": READ, "resource": RECORDS}),
    "4.7.1 actions without resource": (ACTIONS, {"subject": ALICE}),
    "4.7.2 subjects of no resource id": (SUBJECTS, asked(USERS, READ, RECORDS)),
    "4.7.2 resources of no subject id": (RESOURCES, asked(USERS, READ, RECORDS)),
    "4.7.2 actions of no subject id": (ACTIONS, {"subject": USERS, "resource": FIRST}),
    "actions of no resource id": (ACTIONS, {"subject": ALICE, "resource": RECORDS}),
    "subjects of no type": (SUBJECTS, asked({}, READ, FIRST)),
    "a page that is no object": (SUBJECTS, asked(USERS, READ, FIRST, page=1)),
    "a limit that is no count": (SUBJECTS, asked(USERS, READ, FIRST, page={"limit": -1})),
    "a limit that is true": (SUBJECTS, asked(USERS, READ, FIRST, page={"limit": True})),
    "a token that nobody gave": (SUBJECTS, asked(USERS, READ, FIRST, page={"token": "a3M9NDU2O3N6PTI="})),
}


@pytest.mark.parametrize("name", UNSEARCHABLE)
def test_search_4_7_a_search_that_does_not_fit_is_400(pdp: Pdp, name: str) -> None:
    path, request = UNSEARCHABLE[name]
    assert pdp.post(path, request).status == 400


def test_discovery(pdp: Pdp) -> None:
    reply = pdp.send("GET", METADATA)
    document = reply.expect(200)
    assert reply.headers["Content-Type"].split(";")[0] == "application/json"
    assert "max-age=" in reply.headers["Cache-Control"]
    assert document.pop("policy_decision_point") == PUBLIC_URL
    assert document == {
        "access_evaluation_endpoint": PUBLIC_URL + ONE,
        "access_evaluations_endpoint": PUBLIC_URL + MANY,
        "search_subject_endpoint": PUBLIC_URL + SUBJECTS,
        "search_resource_endpoint": PUBLIC_URL + RESOURCES,
        "search_action_endpoint": PUBLIC_URL + ACTIONS,
    }
    for url in document.values():
        place = urlsplit(url)
        assert (place.scheme, place.query, place.fragment) == ("https", "", "")
        assert pdp.post(place.path, {}).status == 400, "an endpoint that is named is there"
