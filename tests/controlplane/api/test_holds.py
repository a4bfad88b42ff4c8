"""``/v1/holds``: who sees what is held, who may end it, and that a reason is given."""

from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.contracts.holds import Hold
from controlplane.decisions.following import MAX_SILENCE_SECONDS
from controlplane.storage import StoreUnavailable
from tests.clocks import EarlyClock
from tests.controlplane.api.alerts import alert, told
from tests.support import Caller, ControlPlane, running, wait_until

PATH = "/v1/holds"


@pytest.fixture(scope="module")
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture(scope="module")
def own(clock: EarlyClock) -> Iterator[ControlPlane]:
    with running(clock=clock) as found:
        yield found


@pytest.fixture(scope="module")
def boss(own: ControlPlane) -> Caller:
    return own.enrol("administrator")


@pytest.fixture
def held(own: ControlPlane, clock: EarlyClock) -> Any:
    """A hold; that of the test before has ended by then."""
    clock.ahead += 1000.0
    return told(own, alert(clock())).expect(200)["alerts"][0]["hold"]


def release(own: ControlPlane, caller: Caller, name: str, query: str = "?reason=A%20faulty%20batch.") -> Any:
    return own.call("DELETE", f"{PATH}/{name}{query}", key=caller.key)


def test_an_administrator_ends_it_with_a_reason_and_once(own: ControlPlane, boss: Caller, held: Any) -> None:
    assert boss.get(PATH).expect(200) == {"holds": [held], "known": True, "most": 64}
    ended = release(own, boss, held["id"]).expect(200)
    assert (ended["state"], ended["released_by"], ended["release_reason"]) == ("released", boss.id, "A faulty batch.")
    assert release(own, boss, held["id"], "?reason=again").expect(200) == ended
    assert boss.get(PATH).expect(200)["holds"] == []
    assert own.metric("ztfm_holds") == 0.0
    everything = boss.get(f"{PATH}?state=all&limit=1").expect(200)["holds"]
    assert everything == [ended]


def test_an_operator_sees_and_does_not_end(own: ControlPlane, held: Any) -> None:
    operator = own.enrol("operator")
    assert operator.get(PATH).expect(200)["holds"] == [held]
    assert release(own, operator, held["id"]).status == 403


@pytest.mark.parametrize("role", ["trainer", "aggregator", "gateway"])
def test_nobody_else_sees_it_or_ends_it(own: ControlPlane, held: Any, role: str) -> None:
    other = own.enrol(role)
    assert other.get(PATH).status == 403
    assert release(own, other, held["id"]).status == 403
    assert own.call("GET", PATH).status == 401


@pytest.mark.parametrize("query", ["", "?reason=", "?reason=%20", "?reason=a%0ab", "?reason=a&reason=b", "?why=a"])
def test_without_a_reason_nothing_is_ended(own: ControlPlane, boss: Caller, held: Any, query: str) -> None:
    reply = release(own, boss, held["id"], query)
    assert (reply.status, reply.kind) == (400, "invalid-request")
    assert boss.get(PATH).expect(200)["holds"] == [held]


def test_what_is_not_there_is_not_found(own: ControlPlane, boss: Caller) -> None:
    for name in ("hold-" + "0" * 32, "hold-x", "exc-" + "0" * 32, "x" * 200):
        assert release(own, boss, name).status == 404


@pytest.mark.parametrize("query", ["state=ended", "limit=0", "limit=201", "limit=x", "limit=1&limit=2", "page=1"])
def test_a_list_is_asked_for_as_it_can_be(boss: Caller, query: str) -> None:
    assert boss.get(f"{PATH}?{query}").kind == "invalid-request"


def test_while_it_is_not_known_what_is_held_what_could_be_is_denied(own: ControlPlane, boss: Caller) -> None:
    device, size = own.enrol("consumer"), {"prompt_tokens": 1, "max_output_tokens": 1}
    device.capability("inference", inference=size).expect(201)
    following = own.services.interventions.held

    async def silent(_now: float) -> list[Hold]:
        raise StoreUnavailable("read holds", "here", "it is away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following._store, "current", silent)
        patch.setattr(following, "_read_at", following._timer() - MAX_SILENCE_SECONDS - 1.0)
        denied = device.capability("inference", inference=size).expect(403)
        assert [reason["code"] for reason in denied["reasons"]] == ["holds_known"]
        assert boss.get(PATH).expect(200)["known"] is False
    wait_until(lambda: device.capability("inference", inference=size).status == 201, 10.0)
