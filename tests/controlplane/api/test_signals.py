"""``POST /v1/behaviour/signals``: who may report, what is refused, and what is told."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.client import ControlPlane as Client
from adapters.client import SyncControlPlane
from adapters.errors import Forbidden
from controlplane.contracts.signals import MAX_SIGNALS, InferenceSignals, SignalsTaken
from tests.support import MODEL, Caller, ControlPlane

PATH = "/v1/behaviour/signals"


@pytest.fixture
def gateway(plane: ControlPlane) -> Caller:
    return plane.enrol("gateway")


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    """A device that was allowed to use the model."""
    found = plane.enrol("consumer")
    found.capability("inference", inference={"prompt_tokens": 8, "max_output_tokens": 8}).expect(201)
    return found


def signals(subject: str, **changes: Any) -> dict[str, Any]:
    return {
        "subject": subject,
        "model": MODEL,
        "started_at": time.time() - 60.0,
        "seconds": 60.0,
        "queries": 10,
        "prompt_tokens": 80,
        "answer_tokens": 50,
        "distinct": 8,
        "coverage": 0.05,
        **changes,
    }


def test_a_gateway_reports_and_is_told_how_much_counts_and_no_more(gateway: Caller, device: Caller) -> None:
    document = {"signals": [signals(device.id), signals("dev-nobody")]}
    assert gateway.post(PATH, document).expect(200) == {"judged": 1, "passed_over": 1}


@pytest.mark.parametrize("role", ["consumer", "trainer", "aggregator", "operator", "administrator"])
def test_nobody_else_reports(plane: ControlPlane, device: Caller, role: str) -> None:
    reply = plane.enrol(role).post(PATH, {"signals": [signals(device.id)]})
    reply.expect(403)
    assert "role_granted" in {reason["code"] for reason in reply.json["reasons"]}


def test_who_shows_no_key_is_told_nothing(plane: ControlPlane, device: Caller) -> None:
    assert plane.call("POST", PATH, {"signals": [signals(device.id)]}).status == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"queries": 0},
        {"queries": 5, "distinct": 6},
        {"injections": 11},
        {"secrets": 11},
        {"coverage": 1.1},
        {"seconds": 0.5},
        {"seconds": 7200.0},
        {"prompt": "turn on the light"},
        {"subject": "a b"},
        {"prompt_tokens": "80"},
        {"crowding": None},
    ],
)
def test_what_does_not_fit_is_refused_whole(gateway: Caller, device: Caller, changes: dict[str, Any]) -> None:
    document = {"signals": [signals(device.id), {**signals(device.id), **changes}]}
    reply = gateway.post(PATH, document)
    reply.expect(400)
    assert reply.kind == "invalid-request"


@pytest.mark.parametrize("count", [0, MAX_SIGNALS + 1])
def test_a_report_has_one_window_at_least_and_five_hundred_at_most(gateway: Caller, count: int) -> None:
    gateway.post(PATH, {"signals": [signals(f"dev-{number}") for number in range(count)]}).expect(400)


def test_as_many_as_a_report_may_have_are_taken(gateway: Caller) -> None:
    document = {"signals": [signals(f"dev-{number}") for number in range(MAX_SIGNALS)]}
    assert gateway.post(PATH, document).expect(200) == {"judged": 0, "passed_over": MAX_SIGNALS}


def test_the_same_report_under_its_key_is_answered_as_before(gateway: Caller, device: Caller) -> None:
    document, key = {"signals": [signals(device.id)]}, {"Idempotency-Key": "report-1"}
    first = gateway.post(PATH, document, headers=key)
    again = gateway.post(PATH, document, headers=key)
    assert first.expect(200) == again.expect(200) == {"judged": 1, "passed_over": 0}
    assert gateway.post(PATH, document).expect(200) == {"judged": 0, "passed_over": 1}


@pytest.fixture
def sdk(plane: ControlPlane, gateway: Caller) -> Iterator[SyncControlPlane]:
    with SyncControlPlane(plane.url, gateway.key) as found:
        yield found


def test_the_sdk_reports(sdk: SyncControlPlane, device: Caller) -> None:
    one = InferenceSignals.model_validate(signals(device.id))
    assert sdk.report_signals([one]) == SignalsTaken(judged=1, passed_over=0)


async def test_the_sdk_reports_without_blocking(plane: ControlPlane, gateway: Caller, device: Caller) -> None:
    async with Client(plane.url, gateway.key) as client:
        one = InferenceSignals.model_validate(signals(device.id))
        assert await client.report_signals([one]) == SignalsTaken(judged=1, passed_over=0)


async def test_who_may_not_report_is_told_so(plane: ControlPlane, device: Caller) -> None:
    async with Client(plane.url, device.key) as client:
        with pytest.raises(Forbidden):
            await client.report_signals([InferenceSignals.model_validate(signals(device.id))])
