"""Noise is an obligation of a grant, and what it costs is charged before anything is given out."""

import base64
import itertools
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from controlplane.contracts.privacy import Account
from tests.controlplane.api.noising import DATA_SET, noising
from tests.support import DIGEST, MODEL, Caller, ControlPlane, running

pytest.importorskip("dp_accounting.pld", reason="dp-accounting 0.6: pip install 'ztfm[privacy]'")

# With a noise multiplier of 16, epsilon 1.0 has room for three updates a device: 0.504, 0.728, 0.904.
ROOM = 3

_numbers = itertools.count(1)
_moment = [time.time()]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    policies = noising(tmp_path_factory.mktemp("local"))
    with running(policies=policies, clock=lambda: _moment[0]) as plane:
        yield plane


@pytest.fixture
def opened(here: ControlPlane) -> Callable[..., str]:
    aggregator = here.enrol("aggregator")

    def open_round(*members: Caller) -> str:
        name = f"round-{next(_numbers)}"
        aggregator.open_round(name, members)
        return name

    return open_round


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def ask(device: Caller, name: str) -> Any:
    return device.capability("gradient_submission", round_id=name)


def charges_of(plane: ControlPlane, device: Caller) -> int:
    return plane.run(plane.store.privacy.spent(Account("devices", device.id, DATA_SET))).charges


def test_a_grant_carries_the_noise_and_is_charged(here: ControlPlane, opened: Callable[..., str]) -> None:
    device = here.enrol("trainer")
    before = here.metric("ztfm_privacy_charges_total", model=MODEL)
    token = ask(device, opened(device)).expect(201)["access_token"]
    limits = claims_of(token)["authorization_details"][0]["constraints"]
    assert limits["privacy"] == {
        "mode": "local",
        "data_set": DATA_SET,
        "clip_norm": 1.0,
        "noise_multiplier": 16.0,
        "delta": 1e-6,
    }
    assert "max_norm" not in limits
    assert charges_of(here, device) == 1
    assert here.metric("ztfm_privacy_charges_total", model=MODEL) == before + 1


def test_a_budget_that_is_used_up_denies_with_a_day_of_return(here: ControlPlane, opened: Callable[..., str]) -> None:
    device = here.enrol("trainer")
    name = opened(device)
    for _ in range(ROOM):
        ask(device, name).expect(201)
    refused = ask(device, name)
    assert refused.kind == "denied"
    [reason] = refused.json["reasons"]
    assert reason["code"] == "privacy_budget_left"
    midnight = (int(_moment[0] // 86_400) + 7) * 86_400
    assert reason["until"] == midnight
    recorded = device.get(f"/v1/decisions/{refused.json['decision_id']}").expect(200)
    assert recorded["reasons"][0]["until"] == midnight
    fact = recorded["facts"]["context"]["privacy"]
    assert (fact["charges"], fact["epsilon_spent"] < 1.0 < fact["epsilon_after"]) == (ROOM, True)
    assert charges_of(here, device) == ROOM
    # Another device has a budget of its own.
    other = here.enrol("trainer")
    ask(other, opened(other)).expect(201)


def test_the_budget_is_back_on_that_day_and_not_before(here: ControlPlane, opened: Callable[..., str]) -> None:
    device = here.enrol("trainer")
    name = opened(device)
    for _ in range(ROOM):
        ask(device, name).expect(201)
    until = ask(device, name).json["reasons"][0]["until"]
    _moment[0] = until - 1.0
    assert ask(device, opened(device)).kind == "denied"
    _moment[0] = until + 1.0
    ask(device, opened(device)).expect(201)


def test_however_many_ask_at_once_no_more_is_granted_than_there_is_room(
    here: ControlPlane, opened: Callable[..., str]
) -> None:
    devices = [here.enrol("trainer") for _ in range(3)]
    name = opened(*devices)
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda device: ask(device, name), devices * 8))
    assert sorted(reply.status for reply in replies) == [201] * (3 * ROOM) + [403] * (24 - 3 * ROOM)
    assert [charges_of(here, device) for device in devices] == [ROOM] * 3


def test_what_is_denied_or_only_searched_for_is_not_charged(here: ControlPlane, opened: Callable[..., str]) -> None:
    device = here.enrol("trainer")
    name = opened(here.enrol("trainer"))
    assert ask(device, name).kind == "denied"
    gateway = here.enrol("gateway")
    asked = {
        "subject": {"type": "device"},
        "action": {"name": "gradient_submission"},
        "resource": {"type": "model", "id": MODEL},
        "context": {"round_id": opened(device)},
    }
    found = gateway.post("/access/v1/search/subject", asked).expect(200)
    assert {"type": "device", "id": device.id} in found["results"]
    assert charges_of(here, device) == 0


def test_an_evaluation_that_allows_spends_of_nobodys_budget(here: ControlPlane, opened: Callable[..., str]) -> None:
    device, gateway = here.enrol("trainer"), here.enrol("gateway")
    asked = {
        "subject": {"type": "device", "id": device.id},
        "action": {"name": "gradient_submission"},
        "resource": {"type": "model", "id": MODEL},
        "context": {"round_id": opened(device)},
    }
    told = gateway.post("/access/v1/evaluation", asked).expect(200)
    assert told["decision"] is True
    assert charges_of(here, device) == 0


def test_a_caller_cannot_say_what_it_spent(here: ControlPlane, opened: Callable[..., str]) -> None:
    device, gateway = here.enrol("trainer"), here.enrol("gateway")
    name = opened(device)
    for _ in range(ROOM):
        ask(device, name).expect(201)
    asked = {
        "subject": {"type": "device", "id": device.id},
        "action": {"name": "gradient_submission"},
        "resource": {"type": "model", "id": MODEL},
        "context": {"round_id": name, "privacy": {"known": True, "epsilon_after": 0.1}},
    }
    told = gateway.post("/access/v1/evaluation", asked).expect(200)
    assert told["decision"] is False


@pytest.fixture(scope="module")
def summed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    policies = noising(tmp_path_factory.mktemp("central"), mode="central", noise_multiplier=8.0)
    with running(policies=policies) as plane:
        yield plane


def test_a_round_is_charged_for_the_aggregators_noise_once(summed: ControlPlane) -> None:
    aggregator, device = summed.enrol("aggregator"), summed.enrol("trainer")
    for number in range(ROOM):
        opened = aggregator.open_round(f"sum-{number}", [device])
        assert opened["privacy"]["noise_multiplier"] == 8.0
        assert opened["aggregation"] == "mean"
    token = ask(device, "sum-0").expect(201)["access_token"]
    limits = claims_of(token)["authorization_details"][0]["constraints"]
    assert limits["max_norm"] == 1.0
    assert "privacy" not in limits
    document = {
        "id": "sum-9",
        "model": MODEL,
        "model_digest": DIGEST,
        "members": [device.id],
        "duration_seconds": 60.0,
    }
    refused = aggregator.post("/v1/rounds", document)
    assert [reason["code"] for reason in refused.json["reasons"]] == ["privacy_budget_left"]
    assert refused.json["reasons"][0]["until"] > time.time()
    spent = summed.run(summed.store.privacy.spent(Account("data-sets", DATA_SET, DATA_SET)))
    assert spent.charges == ROOM
    # A name that is taken is told before anything would be charged, had there been room.
    assert aggregator.post("/v1/rounds", {**document, "id": "sum-0"}).status in (403, 409)


def test_a_device_and_its_operator_read_what_was_spent(here: ControlPlane, opened: Callable[..., str]) -> None:
    device, other, operator = here.enrol("trainer"), here.enrol("trainer"), here.enrol("operator")
    name = opened(device)
    for _ in range(ROOM):
        ask(device, name).expect(201)
    for reader in (device, operator):
        found = reader.get(f"/v1/privacy/devices/{device.id}").expect(200)
        [account] = found["accounts"]
        assert (account["data_set"], account["charges"], account["known"]) == (DATA_SET, ROOM, True)
        assert 0.9 < account["share"] < 1.0
        assert account["returns_at"] > _moment[0]
        assert account["spending"] == [
            {"mode": "local", "noise_multiplier": 16.0, "sampling": 1.0, "window": ROOM, "ever": ROOM}
        ]
    assert other.get(f"/v1/privacy/devices/{device.id}").kind == "denied"
    whole = operator.get(f"/v1/privacy/data-sets/{DATA_SET}").expect(200)
    assert device.id in {account["id"] for account in whole["accounts"]}
    assert whole["devices"] >= 1
    assert device.get(f"/v1/privacy/data-sets/{DATA_SET}").kind == "denied"
    for path in ("devices/dev-unheard-of", "data-sets/unheard-of", "data-sets/..%2f"):
        assert operator.get(f"/v1/privacy/{path}").status in (400, 404)
