"""``POST /v1/site/decisions``: a device hands in what its site decided, and nobody anything else."""

import time
from typing import Any

import pytest

from controlplane.api.services import EdgeLimits
from controlplane.capabilities.statements import NOTHING, make_statement, statement_digest
from controlplane.contracts.site import MAX_STATEMENTS, SiteDecision
from tests.controlplane.contracts.samples import SAMPLES
from tests.support import Caller, ControlPlane, running

PATH = "/v1/site/decisions"
SAMPLE = dict(SAMPLES)[SiteDecision]


def stated(device: Caller, **changes: Any) -> str:
    """A statement of the device's, the first of its chain."""
    first = {"sequence": 1, "previous": NOTHING, "previous_time": 0.0, "time": time.time() - 60.0}
    document = {**SAMPLE, **first, "subject": device.id, **changes}
    return make_statement(device.key, SiteDecision.model_validate(document))


def handed_in(device: Caller, *statements: str) -> Any:
    return device.post(PATH, {"statements": list(statements)}).expect(200)


def records(plane: ControlPlane, device: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        plane.enrol("operator").get(f"/v1/decisions?subject={device.id}&action=site").expect(200)["decisions"]
    )
    return found


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("trainer")


def test_a_decision_is_on_record_once_however_often_it_is_handed_in(plane: ControlPlane, device: Caller) -> None:
    one = stated(device)
    assert handed_in(device, one) == {"taken": 1, "known": 0, "refused": 0}
    assert handed_in(device, one, one) == {"taken": 0, "known": 2, "refused": 0}
    (record,) = records(plane, device)
    assert (record["action"], record["outcome"]) == ("site:update_out", "deny")
    assert [reason["code"] for reason in record["reasons"]] == ["site:hours_open"]


def test_the_chain_is_followed_and_a_break_shows(plane: ControlPlane, device: Caller) -> None:
    at = time.time() - 10.0
    one = stated(device, time=at)
    two = stated(device, sequence=2, previous=statement_digest(one), previous_time=at, time=at + 1, outcome="allow")
    apart = stated(device, sequence=4, previous="sha256:" + "0" * 64, previous_time=at + 2, time=at + 3)
    assert handed_in(device, one, two, apart)["taken"] == 3
    shown = [device.get(f"/v1/decisions/{one['id']}").expect(200) for one in reversed(records(plane, device))]
    assert [one["facts"]["site"]["is_linked"] for one in shown] == [True, True, False]
    assert [one["outcome"] for one in shown] == ["deny", "allow", "deny"]


def test_another_devices_word_is_not_taken(plane: ControlPlane, device: Caller) -> None:
    other = plane.enrol("trainer")
    forged = make_statement(device.key, SiteDecision.model_validate({**SAMPLE, "subject": other.id}))
    assert handed_in(device, stated(other), forged, "no.statement.at all", stated(device)) == {
        "taken": 1,
        "known": 0,
        "refused": 3,
    }
    assert records(plane, other) == []


def test_nobody_puts_itself_before_what_comes(plane: ControlPlane, device: Caller) -> None:
    handed_in(device, stated(device, time=time.time() + 1e6))
    (record,) = records(plane, device)
    assert record["time"] <= time.time()
    assert record["id"] < plane.enrol("trainer").capability("inference").json["decision_id"]


def test_a_sites_leave_lets_nobody_do_anything(plane: ControlPlane, device: Caller) -> None:
    handed_in(device, stated(device, action="model_in", outcome="allow", reasons=[]))
    reply = device.capability("model_access", digest="sha256:" + "d" * 64, purpose="training", round_id="nowhere")
    assert reply.kind == "denied"


def test_a_quarantined_device_hands_in_and_a_revoked_one_does_not(plane: ControlPlane, device: Caller) -> None:
    plane.run(plane.services.registry.set_status(device.id, "quarantined"))
    assert handed_in(device, stated(device))["taken"] == 1
    plane.run(plane.services.registry.set_status(device.id, "revoked"))
    assert device.post(PATH, {"statements": [stated(device)]}).status in (401, 403)


def test_many_at_once_cost_as_much_as_one_by_one() -> None:
    limits = EdgeLimits(rate=1.0, burst=50.0, stranger_rate=1e6, stranger_burst=1e6)
    with running(limits=limits) as plane:
        device = plane.enrol("trainer")
        handed_in(device, *[stated(device, time=time.time() - number) for number in range(60)])
        assert device.post(PATH, {"statements": [stated(device)]}).status == 429


def test_who_shows_no_key_is_told_nothing(plane: ControlPlane, device: Caller) -> None:
    assert plane.call("POST", PATH, {"statements": [stated(device)]}).status == 401


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"statements": []},
        {"statements": [""]},
        {"statements": [1]},
        {"statements": "x"},
        {"statements": ["x" * 8193]},
        {"statements": ["x"] * (MAX_STATEMENTS + 1)},
        {"statements": ["x"], "policy": "off"},
    ],
)
def test_what_does_not_fit_is_refused(device: Caller, document: Any) -> None:
    assert device.post(PATH, document).kind == "invalid-request"


def test_a_policy_that_is_asked_again_is_not_asked_what_sites_decided(plane: ControlPlane, device: Caller) -> None:
    from controlplane.contracts.decision import DecisionQuery
    from controlplane.history.records import count, recorded

    handed_in(device, stated(device))
    device.capability("inference")

    async def packages(query: DecisionQuery) -> list[str]:
        pieces = recorded(plane.services.transparency.records, query, 1000)
        return [one.package async for piece in pieces for one in piece]

    query = DecisionQuery(subject=device.id)
    found = plane.run(packages(query))
    assert "inference" in found
    assert "site" not in found
    assert plane.run(count(plane.services.transparency.records, query)) == len(found)
    assert plane.run(packages(DecisionQuery(subject=device.id, action="site:update_out"))) == []
