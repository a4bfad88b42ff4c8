"""Inferences as gateways report them, judged at a real control plane."""

from typing import Any

import pytest

from controlplane.contracts.signals import InferenceSignals, SignalsTaken
from controlplane.decisions.watching import SignalWatch, Unjudged
from tests.clocks import Clock
from tests.support import Caller, ControlPlane

GATEWAY = "dev-gateway"
WINDOW = 60.0


def signals(caller: Caller | str, clock: Clock, **changes: Any) -> InferenceSignals:
    usual: dict[str, Any] = {
        "subject": caller if isinstance(caller, str) else caller.id,
        "model": "smart-home-intents",
        "started_at": clock.now - WINDOW,
        "seconds": WINDOW,
        "queries": 10,
        "prompt_tokens": 80,
        "answer_tokens": 50,
        "distinct": 8,
        "coverage": 0.05,
    }
    return InferenceSignals.model_validate(usual | changes)


@pytest.fixture
def watch(plane: ControlPlane) -> SignalWatch:
    return plane.services.signals


@pytest.fixture
def homes(plane: ControlPlane, clock: Clock) -> list[Caller]:
    clock.now += 600.0
    return [plane.enrol("consumer") for _ in range(6)]


def report(plane: ControlPlane, watch: SignalWatch, *reported: InferenceSignals, by: str = GATEWAY) -> SignalsTaken:
    return plane.run(watch.report(by, reported))


def test_a_window_counts_once_and_from_each_gateway(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    reported = [signals(caller, clock) for caller in homes]
    assert report(plane, watch, *reported) == SignalsTaken(judged=6, passed_over=0)
    assert report(plane, watch, *reported) == SignalsTaken(judged=0, passed_over=6)
    assert report(plane, watch, *reported, by="dev-other") == SignalsTaken(judged=6, passed_over=0)
    clock.now += WINDOW
    assert report(plane, watch, *(signals(caller, clock) for caller in homes)).judged == 6


def test_who_is_not_known_or_not_active_and_what_is_not_of_today_is_passed_over(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    plane.run(plane.services.registry.set_status(homes[0].id, "quarantined"))
    plane.run(plane.services.registry.set_status(homes[1].id, "revoked"))
    taken = report(
        plane,
        watch,
        signals(homes[0], clock),
        signals(homes[1], clock),
        signals("dev-nobody", clock),
        signals(homes[2], clock, started_at=clock.now - 7200.0),
        signals(homes[3], clock, started_at=clock.now + 120.0),
        signals(homes[4], clock),
    )
    assert taken == SignalsTaken(judged=1, passed_over=5)


def test_several_models_of_one_subject_count_and_not_without_end(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    reported = [signals(homes[0], clock, model=f"model-{number}") for number in range(7)]
    assert report(plane, watch, *reported, *reported) == SignalsTaken(judged=4, passed_over=10)


def test_who_injects_is_set_apart_and_nobody_else_is(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    for _ in range(6):
        clock.now += WINDOW
        report(plane, watch, *(signals(caller, clock, injections=5 if caller is homes[0] else 0) for caller in homes))
    found = [plane.run(plane.store.devices.get(caller.id)) for caller in homes]
    assert [device and device.status for device in found] == ["quarantined", *["active"] * 5]
    [first, *_] = plane.run(plane.store.observations.verdicts(homes[0].id, 9))
    assert first.attribution is not None
    assert (first.channel, first.attribution.attack, first.attribution.atlas, first.attribution.owasp) == (
        "inference",
        "prompt_injection",
        "AML.T0051",
        "LLM01:2025",
    )


def test_flags_are_counted_and_secrets_speak_against_nobody(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    def flags(flag: str) -> float:
        return plane.metric("ztfm_inference_flags_total", flag=flag)

    before = flags("injection"), flags("secret")
    for _ in range(6):
        clock.now += WINDOW
        report(plane, watch, *(signals(caller, clock, secrets=10, injections=1) for caller in homes))
    assert (flags("injection"), flags("secret")) == (before[0] + 36, before[1] + 360)
    found = [plane.run(plane.store.devices.get(caller.id)) for caller in homes]
    assert {device and device.status for device in found} == {"active"}


def test_while_policy_does_not_say_how_to_judge_nothing_counts(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing() -> None:
        return None

    reported = [signals(caller, clock) for caller in homes]
    with monkeypatch.context() as patched:
        patched.setattr(plane.services.responder._terms, "in_force", nothing)
        with pytest.raises(Unjudged):
            report(plane, watch, *reported)
    assert report(plane, watch, *reported).judged == 6
