"""``POST /v1/gateway/decisions``: who may ask, whose word counts for what, and what comes of what was found."""

import time
from typing import Any

import pytest

from adapters.client import SyncControlPlane
from controlplane.contracts.content import ContentFindings, ContentReport
from tests.support import MODEL, Caller, ControlPlane

PATH = "/v1/gateway/decisions"


@pytest.fixture
def gateway(plane: ControlPlane) -> Caller:
    return plane.enrol("gateway")


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


def report(subject: str, direction: str = "prompt", age: float = 60.0, **found: Any) -> dict[str, Any]:
    findings = {"injection": 0.0, "secrets": 0, "personal": {}, "near_duplicate": False, "coverage": 0.0, **found}
    return {
        "subject": subject,
        "model": MODEL,
        "capability": "cap-1",
        "issued_at": time.time() - age,
        "direction": direction,
        "findings": findings,
    }


def codes(answer: Any) -> set[str]:
    return {reason["code"] for reason in answer["reasons"]}


def test_what_was_found_decides_what_is_done(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    answer = gateway.post(PATH, report(device.id, "answer", personal={"email": 2})).expect(200)
    assert answer["decision"] is True
    assert answer["obligations"]["redact"] == ["personal"]
    assert answer["obligations"]["watermark"] == "generated.internal"
    assert answer["reasons"] == []


def test_an_injection_is_denied_with_a_remedy(gateway: Caller, device: Caller) -> None:
    answer = gateway.post(PATH, report(device.id, injection=0.97)).expect(200)
    assert answer["decision"] is False
    assert "content_below_denial" in codes(answer)
    assert all(reason["remedy"] for reason in answer["reasons"])
    assert "step_up_seconds" not in answer["obligations"]


def test_a_fresh_capability_is_what_a_step_up_asks_for(gateway: Caller, device: Caller) -> None:
    answer = gateway.post(PATH, report(device.id, injection=0.8)).expect(200)
    assert (answer["decision"], answer["obligations"]["step_up_seconds"]) == (False, 30.0)
    again = gateway.post(PATH, report(device.id, age=1.0, injection=0.8)).expect(200)
    assert (again["decision"], again["obligations"]["requests_per_minute"]) == (True, 12)


@pytest.mark.parametrize("role", ["consumer", "trainer", "aggregator", "operator", "administrator"])
def test_who_is_no_gateway_may_not_ask_and_learns_nothing_of_the_subject(
    plane: ControlPlane, device: Caller, role: str
) -> None:
    reply = plane.enrol(role).post(PATH, report("dev-nobody", injection=1.0))
    reply.expect(403)
    assert codes(reply.json) == {"reporter_granted"}


def test_who_shows_no_key_is_told_nothing(plane: ControlPlane, device: Caller) -> None:
    assert plane.call("POST", PATH, report(device.id)).status == 401


def test_of_a_stranger_nothing_passes(gateway: Caller) -> None:
    answer = gateway.post(PATH, report("dev-nobody")).expect(200)
    assert answer["decision"] is False
    assert {"subject_known", "subject_active"} <= codes(answer)


def test_a_subject_that_is_set_apart_is_cut_off_in_the_middle_of_an_answer(
    plane: ControlPlane, gateway: Caller, device: Caller
) -> None:
    assert gateway.post(PATH, report(device.id, "answer")).expect(200)["decision"] is True
    administrator = plane.enrol("administrator")
    administrator.post(
        f"/v1/devices/{device.id}/status", {"status": "quarantined", "reason": "Set apart for a test."}
    ).expect(200)
    answer = gateway.post(PATH, report(device.id, "answer")).expect(200)
    assert (answer["decision"], "subject_active" in codes(answer)) == (False, True)


def test_a_gateway_that_is_set_apart_asks_no_more(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    plane.enrol("administrator").post(
        f"/v1/devices/{gateway.id}/status", {"status": "quarantined", "reason": "Set apart for a test."}
    ).expect(200)
    reply = gateway.post(PATH, report(device.id))
    reply.expect(403)
    assert codes(reply.json) == {"reporter_active"}


def test_the_record_has_the_numbers(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    answer = gateway.post(PATH, report(device.id, injection=0.25)).expect(200)
    record = plane.enrol("operator").get(f"/v1/decisions/{answer['decision_id']}").expect(200)
    assert (record["action"], record["subject"], record["resource"]) == ("content", device.id, MODEL)
    assert record["facts"]["context"]["findings"]["injection"] == 0.25
    assert record["facts"]["context"]["reporter"]["id"] == gateway.id


@pytest.mark.parametrize(
    "found",
    [
        {"injection": 1.5},
        {"injection": "0"},
        {"secrets": -1},
        {"secrets": 1.0},
        {"personal": {"E-Mail": 1}},
        {"personal": {f"kind{number}": 1 for number in range(33)}},
        {"near_duplicate": None},
        {"coverage": True},
        {"text": "turn on the light"},
    ],
)
def test_what_does_not_fit_is_refused(gateway: Caller, device: Caller, found: dict[str, Any]) -> None:
    reply = gateway.post(PATH, report(device.id, **found))
    reply.expect(400)
    assert reply.kind == "invalid-request"


@pytest.mark.parametrize("age", [301.0, -60.0])
def test_a_capability_of_long_ago_or_of_a_time_to_come_opens_nothing(
    gateway: Caller, device: Caller, age: float
) -> None:
    answer = gateway.post(PATH, report(device.id, age=age)).expect(200)
    assert codes(answer) == {"content_capability_current"}


def test_the_sdk_asks(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    asked = ContentReport(
        subject=device.id,
        model=MODEL,
        capability="cap-1",
        issued_at=time.time(),
        direction="answer",
        findings=ContentFindings(injection=0.0, secrets=1, personal={}, near_duplicate=True, coverage=0.0),
    )
    with SyncControlPlane(plane.url, gateway.key) as client:
        found = client.judge_content(asked)
    assert found.decision
    assert (found.obligations.redact, found.obligations.decimals) == (["secrets"], 2)


def test_what_becomes_of_content_is_counted(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    def counted(outcome: str) -> float:
        return plane.metric("ztfm_content_decisions_total", direction="prompt", outcome=outcome)

    before = counted("denied")
    gateway.post(PATH, report(device.id, injection=1.0)).expect(200)
    assert counted("denied") == before + 1
