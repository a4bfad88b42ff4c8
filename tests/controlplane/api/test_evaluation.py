"""AuthZEN 1.0: order, defaults, a denial that is 200, and nobody's word taken for what policy does not say."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from controlplane.audit import AuditUnavailable
from controlplane.storage import StoreUnavailable
from tests.support import DIGEST, MODEL, Caller, ControlPlane

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
SIZE = {"prompt_tokens": 10, "max_output_tokens": 10}


def asked(subject: Caller | str, action: str = "inference", **context: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "device", "id": subject if isinstance(subject, str) else subject.id},
        "action": {"name": action},
        "resource": {"type": "model", "id": MODEL},
        "context": context or {"inference": SIZE},
    }


def test_a_permitted_request_is_permitted_with_its_obligations(gateway: Caller, consumer: Caller) -> None:
    body = gateway.post(ONE, asked(consumer)).expect(200)
    assert body["decision"] is True
    assert body["context"]["obligations"] == {"watch": True, "detail": "label_only", "max_output_tokens": 10}
    assert body["context"]["ttl_seconds"] > 0
    assert consumer.get(f"/v1/decisions/{body['context']['id']}").expect(200)["outcome"] == "allow"


def test_a_denial_is_200_with_reasons(gateway: Caller, trainer: Caller) -> None:
    body = gateway.post(ONE, asked(trainer)).expect(200)
    assert body["decision"] is False
    assert "role_granted" in [reason["code"] for reason in body["context"]["reasons"]]


@pytest.mark.parametrize("subject", ["dev-nobody", "alice@example.org"])
def test_a_subject_that_nobody_registered_is_denied_and_not_an_error(gateway: Caller, subject: str) -> None:
    body = gateway.post(ONE, asked(subject)).expect(200)
    assert body["decision"] is False
    assert body["context"]["outcome"] == "deny"


def test_an_enforcement_point_alone_may_ask(
    plane: ControlPlane, consumer: Caller, trainer: Caller, aggregator: Caller, operator: Caller
) -> None:
    for other in (consumer, trainer, aggregator, operator):
        assert other.post(ONE, asked(consumer)).kind == "denied"
        assert other.post(MANY, {"evaluations": [asked(consumer)]}).kind == "denied"
    assert plane.call("POST", ONE, asked(consumer)).kind == "unauthenticated"


def test_a_gateway_s_word_counts_for_what_policy_says_and_no_more(gateway: Caller, consumer: Caller) -> None:
    outside = gateway.post(ONE, asked(consumer, inference=SIZE, network={"address": "203.0.113.9"})).expect(200)
    assert [reason["code"] for reason in outside["context"]["reasons"]] == ["network_allowed"]
    forged = asked(consumer)
    forged["subject"]["properties"] = {"trust": "high", "roles": ["operator"], "status": "active"}
    forged["context"]["usage"] = "none"
    forged["context"]["time"] = 1
    record_of = gateway.post(ONE, forged).expect(200)["context"]["id"]
    facts = consumer.get(f"/v1/decisions/{record_of}").expect(200)["facts"]
    assert facts["subject"]["properties"]["trust"]["score"] == pytest.approx(0.6, abs=0.05)
    assert facts["subject"]["properties"]["roles"] == ["consumer"]
    assert facts["context"]["time"] > 1e9


def test_evidence_is_never_believed_of_a_gateway(plane: ControlPlane, gateway: Caller) -> None:
    from tests.support import honest_evidence

    device = plane.enrol("trainer")
    body = gateway.post(ONE, asked(device, "gradient_submission", evidence=honest_evidence())).expect(200)
    assert body["decision"] is False
    facts = device.get(f"/v1/decisions/{body['context']['id']}").expect(200)["facts"]
    assert "evidence" not in facts["context"]
    assert facts["context"]["phase"] == "grant"


def test_a_pull_for_serving_needs_the_digest_that_the_gateway_states(gateway: Caller, consumer: Caller) -> None:
    request = asked(consumer, "model_access", purpose="serving")
    assert gateway.post(ONE, request).expect(200)["decision"] is False
    request["resource"]["properties"] = {"digest": DIGEST}
    assert gateway.post(ONE, request).expect(200)["decision"] is True


def test_a_batch_keeps_its_order(gateway: Caller, consumer: Caller, trainer: Caller) -> None:
    pattern: list[Caller | str] = [consumer, trainer, "dev-nobody", consumer, trainer] * 20
    body = gateway.post(MANY, {"evaluations": [asked(subject) for subject in pattern]}).expect(200)
    assert [item["decision"] for item in body["evaluations"]] == [subject is consumer for subject in pattern]


def test_what_an_element_leaves_out_comes_from_the_defaults(gateway: Caller, consumer: Caller, trainer: Caller) -> None:
    whole = asked(consumer)
    body = {
        **whole,
        "evaluations": [
            {},
            {"subject": asked(trainer)["subject"]},
            {"action": {"name": "model_access"}},
            {"context": {"inference": {"prompt_tokens": 5000, "max_output_tokens": 1}}},
        ],
        "options": {"evaluations_semantic": "execute_all"},
    }
    answers = gateway.post(MANY, body).expect(200)["evaluations"]
    assert [answer["decision"] for answer in answers] == [True, False, False, False]
    assert [reason["code"] for reason in answers[3]["context"]["reasons"]] == ["inference_sized"]


def without(request: dict[str, Any], part: str) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != part}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda whole: without(whole, "resource"), "/resource"),
        (lambda whole: {**whole, "subject": "dev-1"}, "/subject"),
        (lambda whole: {**whole, "subject": None}, "/subject"),
        (lambda whole: {**whole, "context": {"inference": "much"}}, "/context/inference"),
        (lambda whole: {**whole, "context": {"inference": {"prompt_tokens": "1"}}}, "/context/inference/prompt_tokens"),
        (lambda whole: {**whole, "resource": {"type": "Model!", "id": MODEL}}, "/resource/type"),
        (lambda whole: {**whole, "context": {"x": "y" * 1025}}, "/context"),
    ],
    ids=["missing", "text", "null", "mistyped", "deep", "name", "large"],
)
def test_what_is_wrong_with_an_element_stays_in_it(
    gateway: Caller, consumer: Caller, change: Callable[[Any], Any], pointer: str
) -> None:
    wrong = change(asked(consumer))
    body = gateway.post(MANY, {"evaluations": [asked(consumer), wrong, asked(consumer)]}).expect(200)
    assert [answer["decision"] for answer in body["evaluations"]] == [True, False, True]
    context = body["evaluations"][1]["context"]
    assert context["outcome"] == "error"
    assert context["error"]["status"] == 400
    assert context["error"]["message"].startswith(f"/evaluations/1{pointer}: ")
    alone = gateway.post(ONE, wrong)
    assert alone.kind == "invalid-request"
    assert alone.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    "fault", [StoreUnavailable("look up", "the disk", "it is gone"), AuditUnavailable("the disk is full")]
)
def test_a_fault_of_the_store_under_an_element_denies_that_element(
    gateway: Caller, consumer: Caller, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controlplane.api.asking import answer

    others = asked("dev-nobody")

    async def failing(request: Any, question: Any) -> Any:
        # The store fails between two elements: that moment cannot be brought about from outside.
        if question.subject.id == "dev-nobody":
            raise fault
        return await answer(request, question)

    monkeypatch.setattr("controlplane.api.evaluation.answer", failing)
    body = gateway.post(MANY, {"evaluations": [asked(consumer), others, asked(consumer)]}).expect(200)
    assert [element["decision"] for element in body["evaluations"]] == [True, False, True]
    assert body["evaluations"][1]["context"]["error"]["status"] == 503
    assert "disk" not in json.dumps(body)
    assert gateway.post(ONE, others).kind == "unavailable"


def test_a_batch_holds_a_hundred_at_most(gateway: Caller, consumer: Caller) -> None:
    assert len(gateway.post(MANY, {"evaluations": [asked(consumer)] * 100}).expect(200)["evaluations"]) == 100
    assert gateway.post(MANY, {"evaluations": [asked(consumer)] * 101}).kind == "invalid-request"


@pytest.mark.parametrize("evaluations", [{}, "all", 1, None, [1], [[]], ["x"], [None]])
def test_elements_are_objects_in_a_list(gateway: Caller, consumer: Caller, evaluations: Any) -> None:
    assert gateway.post(MANY, {**asked(consumer), "evaluations": evaluations}).kind == "invalid-request"


@pytest.mark.parametrize("added", [{}, {"evaluations": []}, {"options": {"evaluations_semantic": "execute_all"}}])
def test_without_elements_the_batch_is_the_one_request(
    gateway: Caller, consumer: Caller, trainer: Caller, added: dict[str, Any]
) -> None:
    body = gateway.post(MANY, {**asked(consumer), **added}).expect(200)
    assert (body["decision"], body["context"]["outcome"]) == (True, "allow")
    assert gateway.post(MANY, {**asked(trainer), **added}).expect(200)["decision"] is False
    reply = gateway.post(MANY, {**without(asked(consumer), "action"), **added})
    assert [error["pointer"] for error in reply.json["errors"]] == ["/action"]


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        ("execute_all", [True, False, True, False]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
def test_a_batch_ends_where_its_semantic_says(
    plane: ControlPlane, gateway: Caller, consumer: Caller, trainer: Caller, semantic: str, decisions: list[bool]
) -> None:
    before = _decided(plane)
    elements = [asked(consumer), asked(trainer), asked(consumer), asked(trainer)]
    body = {"evaluations": elements, "options": {"evaluations_semantic": semantic, "other": 1}}
    answers = gateway.post(MANY, body).expect(200)["evaluations"]
    assert [answer["decision"] for answer in answers] == decisions
    assert _decided(plane) - before == len(decisions), "what comes after the end is not decided"


def _decided(plane: ControlPlane) -> float:
    return sum(plane.metric("ztfm_decisions_total", action="inference", outcome=o) for o in ("allow", "deny", "error"))


def test_a_fault_ends_a_batch_as_a_denial_does_and_is_no_permit(gateway: Caller, consumer: Caller) -> None:
    elements = [{"subject": "?"}, asked(consumer), asked(consumer)]
    for semantic, decisions in (("deny_on_first_deny", [False]), ("permit_on_first_permit", [False, True])):
        body = {"evaluations": elements, "options": {"evaluations_semantic": semantic}}
        answers = gateway.post(MANY, body).expect(200)["evaluations"]
        assert [answer["decision"] for answer in answers] == decisions


@pytest.mark.parametrize("semantic", ["other", "", None, 1, ["execute_all"]])
def test_a_semantic_that_is_not_offered_is_refused(gateway: Caller, consumer: Caller, semantic: Any) -> None:
    body = {"evaluations": [asked(consumer)], "options": {"evaluations_semantic": semantic}}
    reply = gateway.post(MANY, body)
    assert [error["pointer"] for error in reply.json["errors"]] == ["/options/evaluations_semantic"]


def test_members_that_nobody_declared_are_ignored_wherever_they_stand(gateway: Caller, consumer: Caller) -> None:
    future: dict[str, Any] = {"nested": {"deep": True}}
    request = asked(consumer)
    request = {name: {**part, "future": future} for name, part in request.items()}
    request["context"]["inference"] = {**SIZE, "future": future}
    request["resource"]["properties"] = {"digest": DIGEST, "future": future, "mine": "x", "n" * 65: 1}
    body = gateway.post(ONE, {**request, "future": future}).expect(200)
    assert body["decision"] is True
    facts = consumer.get(f"/v1/decisions/{body['context']['id']}").expect(200)["facts"]
    assert "future" not in json.dumps(facts), "what can be no fact is shown to no policy"
    assert facts["resource"]["properties"] == {"digest": DIGEST, "mine": "x"}


@pytest.mark.parametrize("kind", ["text/plain", "application/problem+json", "application/jsonl", "*/*", ""])
@pytest.mark.parametrize("path", [ONE, MANY])
def test_another_media_type_is_400(gateway: Caller, consumer: Caller, path: str, kind: str) -> None:
    reply = gateway.post(path, asked(consumer), headers={"Content-Type": kind})
    assert (reply.status, reply.kind) == (400, "invalid-request")
    fine = gateway.post(path, asked(consumer), headers={"Content-Type": "application/json; charset=utf-8"})
    assert fine.expect(200)["decision"] is True


class TestOtherActions:
    """Actions that the product does not know, where nobody wrote a policy for them."""

    @staticmethod
    def asked(subject: str = "alice", kind: str = "user") -> dict[str, Any]:
        return {
            "subject": {"type": kind, "id": subject, "properties": {"role": "admin", "deep": {"er": [1, None]}}},
            "action": {"name": "Öffnen / open", "properties": {"method": "GET"}},
            "resource": {"type": "https://example.org/Door", "id": "/floors/2?door=7", "properties": {"lock": False}},
            "context": {"time": "1985-10-26T01:22-07:00"},
        }

    def test_it_is_a_denial_with_a_reason_and_not_an_error(self, gateway: Caller) -> None:
        body = gateway.post(ONE, self.asked()).expect(200)
        assert body["decision"] is False
        assert [reason["code"] for reason in body["context"]["reasons"]] == ["action_known"]

    def test_what_the_caller_says_is_recorded_apart_from_what_is_known(
        self, gateway: Caller, operator: Caller, consumer: Caller
    ) -> None:
        request = self.asked(consumer.id, "device")
        request["subject"]["properties"]["status"] = "revoked"
        record = operator.get(f"/v1/decisions/{gateway.post(ONE, request).json['context']['id']}").expect(200)
        assert record["action"] == request["action"]["name"]
        assert record["resource"] == request["resource"]["id"]
        facts = record["facts"]
        assert facts["subject"]["properties"]["status"] == "active"
        assert facts["claims"] == {
            "subject": request["subject"]["properties"] | {"deep": {"er": [1, None]}},
            "action": {"method": "GET"},
            "resource": {"lock": False},
            "context": request["context"],
        }
        assert facts["context"].keys() == {"time", "network", "usage"}

    def test_nobody_is_known_by_the_name_of_a_device_under_another_type(
        self, gateway: Caller, operator: Caller, consumer: Caller
    ) -> None:
        reply = gateway.post(ONE, self.asked(consumer.id, "user"))
        record = operator.get(f"/v1/decisions/{reply.json['context']['id']}").expect(200)
        assert "properties" not in record["facts"]["subject"]

    def test_names_are_counted_under_one_label(self, plane: ControlPlane, gateway: Caller) -> None:
        before = plane.metric("ztfm_decisions_total", action="other", outcome="deny")
        for number in range(5):
            gateway.post(ONE, {**self.asked(), "action": {"name": f"a{number}"}}).expect(200)
        assert plane.metric("ztfm_decisions_total", action="other", outcome="deny") == before + 5
        assert not [name for name, labels in plane.app_metrics() if ("action", "a0") in labels]

    @pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "\x7f", 1, None])
    def test_a_name_is_short_and_holds_no_control_character(self, gateway: Caller, name: Any) -> None:
        reply = gateway.post(ONE, {**self.asked(), "action": {"name": name}})
        assert [error["pointer"] for error in reply.json["errors"]] == ["/action/name"]


def test_the_same_subject_many_times_in_a_batch_is_many_decisions(gateway: Caller, consumer: Caller) -> None:
    body = gateway.post(MANY, {"evaluations": [asked(consumer)] * 10}).expect(200)
    assert len({item["context"]["id"] for item in body["evaluations"]}) == 10


def test_the_request_id_comes_back_unless_it_could_harm(plane: ControlPlane, gateway: Caller, consumer: Caller) -> None:
    reply = gateway.post(ONE, asked(consumer), headers={"X-Request-ID": "bfe9eb29-ab87"})
    assert reply.headers["X-Request-ID"] == "bfe9eb29-ab87"
    for other in ("a" * 1024, 'any "string" {it} likes/+='):
        assert gateway.post(ONE, asked(consumer), headers={"X-Request-ID": other}).headers["X-Request-ID"] == other
    for harmful in ("a" * 1025, "a\tb", "ü"):
        reply = gateway.post(ONE, asked(consumer), headers={"X-Request-ID": harmful})
        assert "X-Request-ID" not in reply.headers


def test_the_metadata_names_the_endpoints(plane: ControlPlane) -> None:
    metadata = plane.call("GET", "/.well-known/authzen-configuration").expect(200)
    assert metadata["policy_decision_point"] == plane.url
    assert metadata["access_evaluation_endpoint"] == plane.url + ONE
    assert metadata["access_evaluations_endpoint"] == plane.url + MANY
    for kind in ("subject", "resource", "action"):
        assert metadata[f"search_{kind}_endpoint"] == f"{plane.url}/access/v1/search/{kind}"
    assert "capabilities" not in metadata
