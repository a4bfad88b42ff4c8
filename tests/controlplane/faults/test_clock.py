"""A wall clock that jumps, and is put right again: nothing expired is taken, nothing used or void counts again."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clocks import EarlyClock
from tests.controlplane.test_faults import ask
from tests.support import Caller, ControlPlane, running, wait_until

DAY, HOUR = 86_400.0, 3_600.0


@pytest.fixture
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture
def plane(clock: EarlyClock) -> Iterator[ControlPlane]:
    with running(clock=clock) as found:
        yield found


def is_active(gateway: Caller, token: str) -> bool:
    """Ask the control plane whether a capability counts."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = gateway.plane.call(
        "POST", "/oauth/introspect", key=gateway.key, body=f"token={token}".encode(), headers=form
    )
    return bool(reply.expect(200)["active"])


def served(device: Caller, gateway: Caller) -> str:
    """Wait until a device gets a capability that counts, and return it: whoever was just seen waits for seconds."""
    given: list[str] = []

    def _asked() -> bool:
        reply = ask(device)
        given.extend([reply.json["access_token"]] if reply.status == 201 else [])
        return bool(given) and is_active(gateway, given[-1])

    wait_until(_asked, 30, "a capability that counts")
    return given[-1]


def submitted(aggregator: Caller, name: str, device: Caller, token: str) -> Any:
    """Report an update, and return its verdict."""
    report = {"updates": [aggregator.plane.report(device, token)]}
    replies: list[Any] = []

    def _told() -> bool:
        replies.append(aggregator.post(f"/v1/rounds/{name}/updates", report))
        return bool(replies[-1].status == 200)

    wait_until(_told, 30, "a verdict")
    return dict(replies[-1].json["verdicts"][0])


def test_a_clock_that_was_a_day_ahead_leaves_nothing_that_counts_longer_or_again(
    plane: ControlPlane, clock: EarlyClock
) -> None:
    device, gateway, operator = plane.enrol("consumer"), plane.enrol("gateway"), plane.enrol("operator")
    apart, aggregator = plane.enrol("consumer"), plane.enrol("aggregator")
    trainers = [plane.enrol("trainer"), plane.enrol("trainer")]
    given, void = served(device, gateway), served(apart, gateway)
    operator.post(f"/v1/devices/{apart.id}/status", {"status": "quarantined", "reason": "odd"}).expect(200)
    aggregator.open_round("today", trainers)
    token = trainers[0].capability("gradient_submission", round_id="today").expect(201)["access_token"]
    assert submitted(aggregator, "today", trainers[0], token)["decision"]

    clock.ahead = DAY
    assert not is_active(gateway, given)
    ahead = served(device, gateway)
    aggregator.open_round("tomorrow", trainers)
    later = trainers[1].capability("gradient_submission", round_id="tomorrow").expect(201)["access_token"]
    assert submitted(aggregator, "tomorrow", trainers[1], later)["decision"]
    assert ask(apart).status == 403

    clock.ahead = 0.0
    served(device, gateway)
    # It is of tomorrow, and counts then if at all.
    assert not is_active(gateway, ahead)
    assert is_active(gateway, given)
    assert not is_active(gateway, void)
    assert ask(apart).status == 403
    again = submitted(aggregator, "today", trainers[0], token)
    assert "capability_unused" in [reason["code"] for reason in again["reasons"]]
    clock.ahead = 301.0
    assert not is_active(gateway, given)


def test_a_clock_that_was_ahead_for_minutes_serves_everybody_once_it_is_right(
    plane: ControlPlane, clock: EarlyClock
) -> None:
    device, gateway = plane.enrol("consumer"), plane.enrol("gateway")
    served(device, gateway)
    for ahead in (HOUR, HOUR + 120.0, HOUR + 240.0):
        clock.ahead = ahead
        served(device, gateway)
    clock.ahead = 0.0
    served(device, gateway)


def test_a_clock_that_goes_back_an_hour_refuses_what_it_cannot_tell_from_old_and_serves_when_it_is_right(
    plane: ControlPlane, clock: EarlyClock
) -> None:
    device, gateway = plane.enrol("consumer"), plane.enrol("gateway")
    given = served(device, gateway)
    proof = plane.proof(device.key, "GET", f"/v1/devices/{device.id}")

    def show() -> int:
        return plane.call("GET", f"/v1/devices/{device.id}", proof=proof).status

    assert show() == 200
    for ahead in (-HOUR, DAY, 0.0):
        clock.ahead = ahead
        assert show() == 401
    served(device, gateway)
    assert show() == 401
    assert is_active(gateway, given)


def test_the_key_that_signs_is_not_lost_to_a_jump(plane: ControlPlane, clock: EarlyClock) -> None:
    device, gateway = plane.enrol("consumer"), plane.enrol("gateway")
    for ahead in (400 * DAY, 0.0):
        clock.ahead = ahead
        served(device, gateway)
    assert plane.call("GET", "/readyz").json["checks"]["signing_key"] == "ok"
