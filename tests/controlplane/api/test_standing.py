"""Administrators and operators look at devices and set them apart, back, or out for good."""

from typing import Any

import pytest

from tests.controlplane.behaving import LOW, observed
from tests.support import Caller, ControlPlane


@pytest.fixture(scope="module")
def boss(plane: ControlPlane) -> Caller:
    return plane.enrol("administrator")


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


def change(caller: Caller, device: Caller, status: str, **more: Any) -> Any:
    return caller.post(f"/v1/devices/{device.id}/status", {"status": status, "reason": "looked odd", **more})


def infers(device: Caller) -> int:
    return device.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1}).status


def codes(reply: Any) -> set[str]:
    return {reason["code"] for reason in reply.expect(403)["reasons"]}


def test_a_device_is_shown_to_who_may_see_it(boss: Caller, operator: Caller, trainer: Caller, device: Caller) -> None:
    for caller in (boss, operator, device):
        shown = caller.get(f"/v1/devices/{device.id}").expect(200)
        assert shown["id"] == device.id
        assert shown["status"] == "active"
        assert shown["trust"] == {"score": 0.6, "observations": 0}
    assert "role_granted" in codes(trainer.get(f"/v1/devices/{device.id}"))


def test_an_unknown_device_is_404_for_who_may_ask_and_403_for_others(boss: Caller, trainer: Caller) -> None:
    assert boss.get("/v1/devices/dev-nobody").status == 404
    assert trainer.get("/v1/devices/dev-nobody").status == 403
    assert boss.get("/v1/devices/%00").status == 404
    assert boss.post("/v1/devices/dev-nobody/status", {"status": "active", "reason": "x"}).status == 404


def test_quarantine_holds_at_once_and_release_ends_it(operator: Caller, device: Caller) -> None:
    assert infers(device) == 201
    assert change(operator, device, "quarantined").expect(200)["status"] == "quarantined"
    assert infers(device) == 403
    assert change(operator, device, "active").expect(200)["status"] == "active"
    assert infers(device) == 201


def test_why_a_device_was_set_apart_is_kept_with_the_decision(operator: Caller, device: Caller) -> None:
    change(operator, device, "quarantined").expect(200)
    found = operator.get(f"/v1/decisions?action=device:set_status&subject={operator.id}&limit=1").expect(200)
    record = operator.get(f"/v1/decisions/{found['decisions'][0]['id']}").expect(200)
    assert record["facts"]["resource"]["properties"]["reason"] == "looked odd"
    assert record["facts"]["resource"]["id"] == device.id


def test_a_released_device_has_a_newcomers_trust_and_a_record_of_its_own(
    plane: ControlPlane, operator: Caller, device: Caller
) -> None:
    apart = observed(device.id, becomes="quarantined", e_value=60.0)
    plane.run(plane.services.registry.record_behaviour([apart]))
    assert change(operator, device, "active").expect(200)["trust"] == {"score": 0.6, "observations": 0}
    kept = plane.run(plane.store.behaviour.kept([device.id]))[device.id]
    assert (kept.record, kept.e_value) == (None, 1.0)


def test_activating_an_active_device_gives_it_no_trust(plane: ControlPlane, operator: Caller, device: Caller) -> None:
    plane.run(plane.services.registry.record_behaviour([observed(device.id)]))
    assert change(operator, device, "active").expect(200)["trust"]["score"] == LOW.score


def test_an_operator_does_not_revoke(operator: Caller, device: Caller) -> None:
    assert codes(change(operator, device, "revoked")) == {"status_granted"}
    assert infers(device) == 201


def test_revoked_is_final(boss: Caller, device: Caller) -> None:
    assert change(boss, device, "revoked").expect(200)["status"] == "revoked"
    for status in ("active", "quarantined"):
        assert change(boss, device, status).kind == "conflict"
    assert change(boss, device, "revoked").status == 200
    assert boss.get(f"/v1/devices/{device.id}").expect(200)["status"] == "revoked"


@pytest.mark.parametrize("role", ["trainer", "consumer", "aggregator", "gateway"])
def test_nobody_else_sets_a_status(plane: ControlPlane, role: str, device: Caller) -> None:
    caller = plane.enrol(role)
    for status in ("active", "quarantined", "revoked"):
        assert {"role_granted", "status_granted"} <= codes(change(caller, device, status))
    assert change(device, device, "active").status == 403, "and nobody their own"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "active"},
        {"reason": "x"},
        {"status": "gone", "reason": "x"},
        {"status": None, "reason": "x"},
        {"status": "active", "reason": ""},
        {"status": "active", "reason": "x" * 300},
        {"status": "active", "reason": "line\nbreak"},
        {"status": "active", "reason": "x", "trust": 1.0},
    ],
)
def test_what_is_no_change_is_400(boss: Caller, device: Caller, body: dict[str, Any]) -> None:
    assert boss.post(f"/v1/devices/{device.id}/status", body).status == 400
    assert infers(device) == 201


def test_changes_are_counted(plane: ControlPlane, boss: Caller, device: Caller) -> None:
    before = plane.metric("ztfm_device_status_changes_total", status="revoked")
    change(boss, device, "revoked").expect(200)
    assert plane.metric("ztfm_device_status_changes_total", status="revoked") == before + 1
