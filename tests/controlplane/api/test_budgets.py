"""``/v1/budgets``: leased as policy says, exact, settled once, and told to whom it concerns."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.controlplane.budgeting import HOUR, budgets, planes_with, windows
from tests.support import MODEL, Caller, ControlPlane, Reply


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    ample = budgets()["segment"]["any"]
    data = budgets(
        subject={"any": windows(50, 5_000)},
        model={"any": ample, "named": {"fall-detection": windows(1_000, 400)}},
        segment={"any": ample, "named": {"guests": windows(5, 100_000)}},
    )
    with planes_with(tmp_path_factory.mktemp("budgets"), data, newcomer_trust=0.9) as running:
        yield running


@pytest.fixture
def gateway(plane: ControlPlane) -> Caller:
    return plane.enrol("gateway")


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("consumer")


def ask(gateway: Caller, device: Caller | str, tokens: int = 100, model: str = MODEL, **more: Any) -> Reply:
    subject = device if isinstance(device, str) else device.id
    return gateway.post("/v1/budgets/leases", {"subject": subject, "model": model, "tokens": tokens, **more})


def settle(gateway: Caller, *uses: tuple[str, int, int]) -> list[str]:
    body = {"settlements": [{"lease": name, "requests": requests, "tokens": tokens} for name, requests, tokens in uses]}
    told = gateway.post("/v1/budgets/settlements", body).expect(200)
    return [one["state"] for one in told["settled"]]


def standing(plane: ControlPlane, scope: str, name: str, span: str = "hour") -> dict[str, Any]:
    operator = plane.enrol("operator")
    found = operator.get(f"/v1/budgets?scope={scope}&id={name}").expect(200)["budgets"]
    one: dict[str, Any] = next(one for one in found if one["span"] == span)
    return one


def codes(reply: Reply, status: int) -> set[str]:
    return {reason["code"] for reason in reply.expect(status)["reasons"]}


def test_a_gateway_gets_what_policy_lets_it_hold_and_all_three_budgets_show_it(
    plane: ControlPlane, gateway: Caller, device: Caller
) -> None:
    lease = ask(gateway, device).expect(201)
    assert (lease["subject"], lease["model"], lease["segment"]) == (device.id, MODEL, "homes")
    assert (lease["requests"], lease["tokens"]) == (10, 1000)
    assert 50.0 < lease["seconds"] <= 60.0
    assert lease["expires_at"] <= plane.clock() + 60.0
    mine = standing(plane, "subject", device.id)
    assert mine["leased"] == {"requests": 10, "tokens": 1000}
    assert mine["limit"] == {"requests": 50, "tokens": 5000}
    assert (mine["starts_at"], mine["ends_at"]) == (HOUR, HOUR + 3600)
    assert standing(plane, "model", MODEL)["leased"]["tokens"] >= 1000
    assert standing(plane, "segment", "homes", "day")["leased"]["tokens"] >= 1000
    record = device.get(f"/v1/decisions/{lease['decision_id']}").expect(200)
    assert (record["action"], record["outcome"]) == ("budget", "allow")
    assert record["facts"]["context"]["gateway"] == gateway.id


def test_what_was_not_used_goes_back_once_and_to_its_own_gateway_alone(
    plane: ControlPlane, gateway: Caller, device: Caller
) -> None:
    lease = ask(gateway, device).expect(201)
    assert settle(plane.enrol("gateway"), (lease["id"], 0, 0)) == ["unknown"]
    assert settle(gateway, (lease["id"], 3, 120), ("lease-none", 1, 1)) == ["settled", "unknown"]
    assert settle(gateway, (lease["id"], 0, 0)) == ["known"]
    mine = standing(plane, "subject", device.id)
    assert mine["used"] == {"requests": 3, "tokens": 120}
    assert mine["leased"] == {"requests": 0, "tokens": 0}


def test_a_budget_without_room_is_429_and_says_whose_it_is_and_when(
    plane: ControlPlane, gateway: Caller, device: Caller
) -> None:
    assert ask(gateway, device, 4_000).expect(201)["tokens"] == 4_000
    full = ask(gateway, device, 1_001)
    assert codes(full, 429) == {"subject_within_budget"}
    assert full.kind == "budget-exhausted"
    assert 3_000 < int(full.headers["Retry-After"]) <= 3_600
    # Another subject has its own budget; and what is left can still be had.
    assert ask(gateway, plane.enrol("consumer"), 4_000).expect(201)
    assert ask(gateway, device, 1_000).expect(201)["tokens"] == 1_000
    assert plane.metric("ztfm_budget_exhausted_total", scope="subject") >= 1


def test_the_budget_of_a_model_and_of_a_segment_bound_all_of_their_subjects_together(
    plane: ControlPlane, gateway: Caller
) -> None:
    one, other = (plane.enrol("trainer", "consumer") for _ in range(2))
    assert ask(gateway, one, 300, "fall-detection").expect(201)
    assert codes(ask(gateway, other, 200, "fall-detection"), 429) == {"model_within_budget"}
    guests = [plane.enrol("consumer", segment="guests") for _ in range(2)]
    assert ask(gateway, guests[0], 10, requests=4).expect(201)["requests"] == 4
    assert codes(ask(gateway, guests[1], 10, requests=2), 429) == {"segment_within_budget"}


def test_who_is_set_apart_or_unknown_has_nothing_leased(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    assert "subject_known" in codes(ask(gateway, "dev-nobody"), 403)
    assert "resource_known" in codes(ask(gateway, device, model="no-model"), 403)
    change = {"status": "quarantined", "reason": "a test"}
    plane.enrol("operator").post(f"/v1/devices/{device.id}/status", change).expect(200)
    assert codes(ask(gateway, device), 403) == {"subject_active"}


def test_gateways_alone_lease_and_settle(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    lease = ask(gateway, device).expect(201)
    for role in ("consumer", "operator", "administrator", "aggregator"):
        caller = plane.enrol(role)
        assert "role_granted" in codes(ask(caller, caller), 403)
        body = {"settlements": [{"lease": lease["id"], "requests": 0, "tokens": 0}]}
        assert "role_granted" in codes(caller.post("/v1/budgets/settlements", body), 403)
    assert plane.call("POST", "/v1/budgets/leases", {"subject": "a", "model": "b", "tokens": 1}).status == 401


def test_a_device_reads_its_own_budget_and_nobody_elses(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    ask(gateway, device).expect(201)
    own = device.get(f"/v1/budgets?scope=subject&id={device.id}").expect(200)["budgets"]
    assert {one["id"] for one in own} == {device.id}
    other = plane.enrol("consumer")
    for asked in (f"?scope=subject&id={device.id}", "", f"?id={other.id}", "?scope=model"):
        assert "role_granted" in codes(other.get(f"/v1/budgets{asked}"), 403)


@pytest.mark.parametrize(
    "asked", ["?scope=fleet", "?limit=0", "?limit=201", "?limit=1&limit=2", "?what=1", "?id=a%20b", "?id="]
)
def test_what_is_asked_otherwise_is_400(plane: ControlPlane, asked: str) -> None:
    plane.enrol("operator").get(f"/v1/budgets{asked}").expect(400)


def test_as_many_leases_as_policy_lets_be_out(gateway: Caller, device: Caller) -> None:
    leases = [ask(gateway, device, 1, requests=1) for _ in range(9)]
    assert [one.status for one in leases[:8]] == [201] * 8
    assert codes(leases[8], 403) == {"leases_few"}
    settle(gateway, (leases[0].expect(201)["id"], 0, 0))
    ask(gateway, device, 1).expect(201)


def test_gateways_that_ask_at_once_never_get_more_than_there_is(plane: ControlPlane, device: Caller) -> None:
    gateways = [plane.enrol("gateway") for _ in range(4)]
    asked = [(gateways[number % 4], number) for number in range(24)]

    def spend(place: tuple[Caller, int]) -> int:
        gateway, number = place
        reply = ask(gateway, device, 150 + number)
        if reply.status != 201:
            assert reply.status in (403, 429), reply.json
            return 0
        lease = reply.expect(201)
        used: int = min(lease["tokens"], 150 + number)
        settle(gateway, (lease["id"], 1, used))
        return used

    with ThreadPoolExecutor(4) as threads:
        used = sum(threads.map(spend, asked))
    mine = standing(plane, "subject", device.id)
    assert mine["used"]["tokens"] == used
    assert 3_000 < used <= 5_000
    assert mine["leased"] == {"requests": 0, "tokens": 0}
