"""How a device stands and why: told to operators, administrators and the device, and to nobody else."""

from typing import Any

import pytest

from controlplane.contracts.identity import Trust
from tests.controlplane.api.cohorts import Cohort
from tests.controlplane.behaving import LOW, NOW, observed, record, verdict
from tests.support import Caller, ControlPlane


@pytest.fixture(scope="module")
def boss(plane: ControlPlane) -> Caller:
    return plane.enrol("administrator")


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("trainer")


def keep(plane: ControlPlane, device: Caller, **changes: Any) -> None:
    kept = plane.run(plane.store.behaviour.kept([device.id]))[device.id]
    sent = observed(device.id, kept.version, **changes)
    assert plane.run(plane.services.registry.record_behaviour([sent])) == frozenset()


def behaviour(caller: Caller, device: Caller, query: str = "") -> Any:
    return caller.plane.call("GET", f"/v1/devices/{device.id}/behaviour{query}", key=caller.key)


def test_a_newcomer_is_watched_with_nothing_against_it(operator: Caller, device: Caller) -> None:
    shown = behaviour(operator, device).expect(200)
    assert shown == {
        "subject": device.id,
        "segment": "homes",
        "status": "active",
        "held": False,
        "state": "watched",
        "e_value": 1.0,
        "trust": {"score": 0.6, "observations": 0},
        "e_values": {},
        "conforming": 0.0,
        "deviating": 0.0,
        "verdicts": [],
    }


def test_the_record_and_the_latest_verdicts_are_shown(plane: ControlPlane, boss: Caller, device: Caller) -> None:
    for number in range(3):
        keep(plane, device, verdict=verdict(device.id, round_id=f"r{number}"))
    shown = behaviour(boss, device).expect(200)
    assert (shown["state"], shown["since"], shown["observed_at"]) == ("watched", NOW, NOW + 60.0)
    assert (shown["trust"]["score"], shown["e_value"]) == (LOW.score, 2.5)
    assert shown["e_values"] == {"updates": 1.75, "access": 1.0}
    assert (shown["conforming"], shown["deviating"]) == (record().conforming, record().deviating)
    assert [one["round_id"] for one in shown["verdicts"]] == ["r2", "r1", "r0"]
    assert shown["verdicts"][0]["attribution"]["sentence"] == "It points the other way."
    assert len(behaviour(boss, device, "?limit=1").expect(200)["verdicts"]) == 1


def test_a_device_reads_its_own_even_in_quarantine_and_nobody_else_s(
    plane: ControlPlane, device: Caller, trainer: Caller, gateway: Caller
) -> None:
    keep(plane, device, becomes="quarantined", verdict=verdict(device.id))
    shown = behaviour(device, device).expect(200)
    assert (shown["status"], shown["state"], shown["held"]) == ("quarantined", "quarantined", False)
    for other in (trainer, gateway):
        denied = behaviour(other, device).expect(403)
        assert "role_granted" in {reason["code"] for reason in denied["reasons"]}
    assert behaviour(plane.stranger(), device).status == 401


def test_whom_a_person_set_apart_is_said_to_be_held(plane: ControlPlane, operator: Caller, device: Caller) -> None:
    keep(plane, device)
    change = {"status": "quarantined", "reason": "looked odd"}
    operator.post(f"/v1/devices/{device.id}/status", change).expect(200)
    shown = behaviour(operator, device).expect(200)
    assert (shown["status"], shown["state"], shown["held"]) == ("quarantined", "watched", True)


def test_time_lets_back_whom_policy_set_apart_and_not_whom_a_person_did(
    plane: ControlPlane, operator: Caller, device: Caller
) -> None:
    held = plane.enrol("trainer")
    for one in (device, held):
        long_ago = record(state="quarantined", since=plane.clock() - 86_500.0)
        keep(plane, one, record=long_ago, status="quarantined", e_value=60.0)
    operator.post(f"/v1/devices/{held.id}/status", {"status": "quarantined", "reason": "stays"}).expect(200)
    for one in (device, held):
        found = plane.run(plane.services.registry.get(one.id))
        assert found is not None
        plane.run(plane.services.behaviour.responder.time_passed(found))
    back = behaviour(operator, device).expect(200)
    assert (back["status"], back["state"], back["e_value"]) == ("active", "recovering", 1.0)
    assert back["trust"] == {"score": 0.6, "observations": 0}
    kept = behaviour(operator, held).expect(200)
    assert (kept["status"], kept["held"]) == ("quarantined", True)


def test_who_is_not_enrolled_is_404_for_who_may_ask_and_403_for_others(boss: Caller, trainer: Caller) -> None:
    assert boss.get("/v1/devices/dev-nobody/behaviour").status == 404
    assert trainer.get("/v1/devices/dev-nobody/behaviour").status == 403
    assert boss.get("/v1/devices/%00/behaviour").status == 404


def test_those_whom_most_speaks_against_come_first(plane: ControlPlane, operator: Caller, boss: Caller) -> None:
    devices = [plane.enrol("trainer") for _ in range(3)]
    for device, e_value in zip(devices, (1e11, 1e12, 9e11), strict=True):
        keep(plane, device, e_value=e_value, becomes="quarantined")
    names = [devices[number].id for number in (1, 2, 0)]
    found = plane.call("GET", "/v1/behaviour?limit=3&state=quarantined", key=operator.key).expect(200)["subjects"]
    assert [one["subject"] for one in found] == names
    assert [one["state"] for one in found] == ["quarantined"] * 3
    assert "verdicts" not in found[0]
    all_ = plane.call("GET", "/v1/behaviour?limit=2", key=boss.key).expect(200)["subjects"]
    assert [one["subject"] for one in all_] == names[:2]
    watched = plane.call("GET", "/v1/behaviour?state=recovering", key=boss.key).expect(200)["subjects"]
    assert {one["state"] for one in watched} <= {"recovering"}


def test_those_that_are_trusted_least_come_first_where_that_is_asked_for(plane: ControlPlane, operator: Caller) -> None:
    devices = [plane.enrol("gateway") for _ in range(3)]
    for device, score in zip(devices, (0.02, 0.01, 0.03), strict=True):
        keep(plane, device, trust=Trust(score=score, observations=3))
    query = "/v1/behaviour?order=trust&segment=core&limit=3"
    found = plane.call("GET", query, key=operator.key).expect(200)["subjects"]
    assert [one["subject"] for one in found] == [devices[number].id for number in (1, 0, 2)]
    assert {one["segment"] for one in found} == {"core"}


@pytest.mark.parametrize("role", ["trainer", "consumer", "aggregator", "gateway"])
def test_nobody_else_lists_them(plane: ControlPlane, role: str) -> None:
    assert plane.enrol(role).get("/v1/behaviour").kind == "denied"


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=x", "limit=", "limit=1&limit=2", "state=good", "state=", "other=1"),
        *("order=age", "order=", "segment=", "segment=HOMES", "segment=a%00", "segment=a%0A"),
    ],
)
def test_a_parameter_that_does_not_fit_is_400(plane: ControlPlane, boss: Caller, query: str) -> None:
    assert plane.call("GET", f"/v1/behaviour?{query}", key=boss.key).kind == "invalid-request"


@pytest.mark.parametrize("query", ["limit=0", "limit=51", "state=watched"])
def test_a_parameter_of_a_device_s_behaviour_that_does_not_fit_is_400(boss: Caller, device: Caller, query: str) -> None:
    assert behaviour(boss, device, f"?{query}").kind == "invalid-request"


def test_after_an_attack_everybody_who_may_learns_why(
    plane: ControlPlane, aggregator: Caller, operator: Caller
) -> None:
    cohort = Cohort(plane, aggregator).settled()
    attacker = cohort.devices[0]
    told = cohort.quarantine(attacker)[-1]
    shown = behaviour(operator, attacker).expect(200)
    assert shown["state"] == "quarantined"
    newest = shown["verdicts"][0]
    assert newest["attribution"] == told["attribution"]
    assert (newest["was"], newest["state"], newest["p_value"]) == ("watched", "quarantined", told["p_value"])
    decided = operator.get(f"/v1/decisions/{newest['decision_id']}").expect(200)
    assert decided["action"] == "response"
    assert decided["obligations"]["state"] == "quarantined"
