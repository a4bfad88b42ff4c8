"""A recorded decision is read by whom it is about and by operators, and by nobody else."""

import pytest

from tests.support import Caller, ControlPlane


@pytest.fixture(scope="module")
def decided(consumer: Caller) -> str:
    size = {"prompt_tokens": 1, "max_output_tokens": 1}
    return str(consumer.capability("inference", inference=size).expect(201)["decision_id"])


def test_the_subject_reads_its_own_decision_with_the_facts(consumer: Caller, decided: str) -> None:
    record = consumer.get(f"/v1/decisions/{decided}").expect(200)
    assert record["id"] == decided
    assert record["outcome"] == "allow"
    assert record["subject"] == consumer.id
    assert record["facts"]["subject"]["properties"]["trust"]["score"] == 0.6
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
