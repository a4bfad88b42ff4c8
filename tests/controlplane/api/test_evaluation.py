"""AuthZEN 1.0: order, defaults, a denial that is 200, and nobody's word taken for what policy does not say."""

from typing import Any

import pytest

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
    assert facts["subject"]["properties"]["trust"]["score"] == 0.6
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


def test_a_part_that_is_in_neither_is_named(gateway: Caller, consumer: Caller) -> None:
    whole = asked(consumer)
    del whole["resource"]
    reply = gateway.post(MANY, {"evaluations": [asked(consumer), whole]})
    assert reply.kind == "invalid-request"
    assert [error["pointer"] for error in reply.json["errors"]] == ["/evaluations/1/resource"]


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_holds_one_to_a_hundred(gateway: Caller, consumer: Caller, count: int) -> None:
    assert gateway.post(MANY, {"evaluations": [asked(consumer)] * count}).kind == "invalid-request"


@pytest.mark.parametrize("semantic", ["deny_on_first_deny", "permit_on_first_permit", "other"])
def test_a_semantic_that_is_not_offered_is_refused(gateway: Caller, consumer: Caller, semantic: str) -> None:
    body = {"evaluations": [asked(consumer)], "options": {"evaluations_semantic": semantic}}
    reply = gateway.post(MANY, body)
    assert [error["pointer"] for error in reply.json["errors"]] == ["/options/evaluations_semantic"]


def test_the_same_subject_many_times_in_a_batch_is_many_decisions(gateway: Caller, consumer: Caller) -> None:
    body = gateway.post(MANY, {"evaluations": [asked(consumer)] * 10}).expect(200)
    assert len({item["context"]["id"] for item in body["evaluations"]}) == 10


def test_the_request_id_comes_back_unless_it_could_harm(plane: ControlPlane, gateway: Caller, consumer: Caller) -> None:
    reply = gateway.post(ONE, asked(consumer), headers={"X-Request-ID": "bfe9eb29-ab87"})
    assert reply.headers["X-Request-ID"] == "bfe9eb29-ab87"
    reply = gateway.post(ONE, asked(consumer), headers={"X-Request-ID": "a" * 129})
    assert "X-Request-ID" not in reply.headers


def test_the_metadata_names_the_endpoints(plane: ControlPlane) -> None:
    metadata = plane.call("GET", "/.well-known/authzen-configuration").expect(200)
    assert metadata["policy_decision_point"] == plane.url
    assert metadata["access_evaluation_endpoint"] == plane.url + ONE
    assert metadata["access_evaluations_endpoint"] == plane.url + MANY
