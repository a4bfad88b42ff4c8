"""A recorded decision is read by whom it is about and by operators, and by nobody else."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.support import MODEL, Caller, ControlPlane


@pytest.fixture(scope="module")
def decided(consumer: Caller) -> str:
    size = {"prompt_tokens": 1, "max_output_tokens": 1}
    return str(consumer.capability("inference", inference=size).expect(201)["decision_id"])


def test_the_subject_reads_its_own_decision_with_the_facts(consumer: Caller, decided: str) -> None:
    record = consumer.get(f"/v1/decisions/{decided}").expect(200)
    assert record["id"] == decided
    assert record["outcome"] == "allow"
    assert record["subject"] == consumer.id
    # A newcomer's, or a little above where a minute of its requests was looked at already.
    assert 0.6 <= record["facts"]["subject"]["properties"]["trust"]["score"] < 0.62
    assert record["policy_revision"]


def test_an_operator_reads_any_decision(operator: Caller, decided: str) -> None:
    assert operator.get(f"/v1/decisions/{decided}").expect(200)["id"] == decided


def test_others_do_not(plane: ControlPlane, trainer: Caller, gateway: Caller, decided: str) -> None:
    for other in (trainer, gateway):
        assert other.get(f"/v1/decisions/{decided}").kind == "denied"
    assert plane.stranger().get(f"/v1/decisions/{decided}").kind == "unauthenticated"
    assert plane.call("GET", f"/v1/decisions/{decided}").kind == "unauthenticated"


def test_what_is_not_there_is_told_to_operators_alone(trainer: Caller, operator: Caller) -> None:
    absent = "/v1/decisions/dec-" + "0" * 32
    assert operator.get(absent).kind == "not-found"
    assert trainer.get(absent).kind == "denied"


@pytest.mark.parametrize("name", ["dec-1", "dec-" + "g" * 32, "%00", "a%2Fb", "dec-" + "0" * 400])
def test_what_is_no_decision_s_name_is_not_found(operator: Caller, name: str) -> None:
    assert operator.get(f"/v1/decisions/{name}").kind == "not-found"


def test_a_quarantined_device_still_learns_why(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    plane.run(plane.services.registry.set_status(device.id, "quarantined"))  # type: ignore[attr-defined]
    denied = device.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1})
    assert device.get(f"/v1/decisions/{denied.json['decision_id']}").expect(200)["outcome"] == "deny"


def _ids(page: Any) -> list[str]:
    return [decision["id"] for decision in page["decisions"]]


def test_an_operator_finds_decisions_newest_first(consumer: Caller, operator: Caller, decided: str) -> None:
    found = operator.get(f"/v1/decisions?subject={consumer.id}&action=inference&outcome=allow").expect(200)
    assert decided in _ids(found)
    assert _ids(found) == sorted(_ids(found), reverse=True)
    assert {one["subject"] for one in found["decisions"]} == {consumer.id}
    assert "facts" not in found["decisions"][0]


def test_a_subject_lists_its_own_and_no_others(consumer: Caller, trainer: Caller, decided: str) -> None:
    assert decided in _ids(consumer.get(f"/v1/decisions?subject={consumer.id}").expect(200))
    for query in ("", f"?subject={consumer.id}", "?outcome=deny"):
        denied = trainer.get(f"/v1/decisions{query}")
        assert denied.kind == "denied"
        assert {reason["code"] for reason in denied.json["reasons"]} >= {"role_granted"}


def test_strangers_list_nothing(plane: ControlPlane, consumer: Caller) -> None:
    for reply in (plane.stranger().get("/v1/decisions"), plane.call("GET", f"/v1/decisions?subject={consumer.id}")):
        assert reply.kind == "unauthenticated"


def test_every_filter_narrows(plane: ControlPlane, operator: Caller) -> None:
    device = plane.enrol("consumer")
    began = plane.clock()
    too_long = device.capability("inference", inference={"prompt_tokens": 10**6, "max_output_tokens": 1}).json
    allowed = device.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1}).expect(201)
    revision = allowed["policy_revision"]
    mine = f"/v1/decisions?subject={device.id}&"
    denied_ids = [too_long["decision_id"]]
    for query, expected in {
        "reason=inference_sized": denied_ids,
        "reason=trust_sufficient": [],
        "outcome=deny": denied_ids,
        "outcome=error": [],
        "action=inference": [allowed["decision_id"], *denied_ids],
        "action=model_access": [],
        f"resource={MODEL}&action=inference": [allowed["decision_id"], *denied_ids],
        "resource=another-model": [],
        f"action=inference&revision={revision}": [allowed["decision_id"], *denied_ids],
        "revision=rev-unknown": [],
        f"since={began:.6f}&action=inference": [allowed["decision_id"], *denied_ids],
        f"until={began:.6f}&action=inference": [],
    }.items():
        assert _ids(operator.get(mine + query).expect(200)) == expected, query


def test_admin_actions_are_found_by_name_and_all_together(plane: ControlPlane, operator: Caller) -> None:
    operator.get("/v1/decisions?limit=1").expect(200)
    for action in ("decision:list", "admin"):
        found = operator.get(f"/v1/decisions?action={action}&subject={operator.id}").expect(200)["decisions"]
        assert found
        assert "decision:list" in {one["action"] for one in found}
        assert all(one["action"] == action or action == "admin" for one in found)


def test_pages_follow_one_another_without_gap_or_repetition(plane: ControlPlane, operator: Caller) -> None:
    device = plane.enrol("consumer")
    size = {"prompt_tokens": 1, "max_output_tokens": 1}
    made = [device.capability("inference", inference=size).expect(201)["decision_id"] for _ in range(7)]
    query = f"/v1/decisions?subject={device.id}&action=inference&limit=3"
    seen, token = [], ""
    while True:
        page = operator.get(f"{query}&page_token={token}" if token else query).expect(200)
        assert len(page["decisions"]) <= 3
        seen += _ids(page)
        token = page["next_token"]
        if not token:
            break
        # What is decided meanwhile belongs before the first page.
        device.capability("inference", inference=size)
    assert seen == made[::-1]


def test_a_page_token_is_for_one_caller_and_one_query(plane: ControlPlane, operator: Caller) -> None:
    other = plane.enrol("operator")
    token = operator.get("/v1/decisions?limit=1").expect(200)["next_token"]
    assert token
    assert operator.get(f"/v1/decisions?limit=2&page_token={token}").status == 200
    for caller, query in (
        (other, f"?page_token={token}"),
        (operator, f"?outcome=allow&page_token={token}"),
        (operator, f"?page_token={token[:-2]}AA"),
        (operator, "?page_token=x"),
        (operator, "?page_token="),
    ):
        assert caller.get(f"/v1/decisions{query}").kind == "invalid-request", query


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1e3",
        "limit=\u0661",
        "since=yesterday",
        "since=nan",
        "until=-1",
        "until=9999999999999",
        "since=1&since=2",
        "outcome=maybe",
        "action=",
        "subject=a%00b",
        "reason=Trust",
        "reason=x'--",
        "subject=" + "x" * 129,
        "resource=" + "x" * 513,
        "revision=" + "x" * 129,
    ],
)
def test_what_is_no_query_is_refused(operator: Caller, query: str) -> None:
    assert operator.get("/v1/decisions?" + quote(query, safe="=&%")).kind == "invalid-request"


def test_a_name_in_sql_finds_nothing(operator: Caller) -> None:
    found = operator.get("/v1/decisions?subject=" + quote("dev' OR '1'='1", safe="")).expect(200)
    assert found["decisions"] == []


def test_a_subject_with_a_name_that_no_device_can_bear_has_decisions_too(gateway: Caller, operator: Caller) -> None:
    name = "Alice in Wonderland"
    asked = {
        "subject": {"type": "user", "id": name},
        "action": {"name": "open"},
        "resource": {"type": "door", "id": "front"},
    }
    gateway.post("/access/v1/evaluation", asked).expect(200)
    (found,) = operator.get(f"/v1/decisions?subject={quote(name)}").expect(200)["decisions"]
    assert operator.get(f"/v1/decisions/{found['id']}").expect(200)["subject"] == name
