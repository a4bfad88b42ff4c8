"""Inferences as gateways report them, judged at a real control plane."""

import asyncio
from typing import Any

import pytest

from controlplane.contracts.signals import InferenceSignals, SignalsTaken
from controlplane.decisions.watching import SignalWatch, Unjudged
from controlplane.decisions.watching.uses import LATELY_SECONDS, Uses
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
    return plane.services.behaviour.signals


ENCODER = "sentence-encoder"
SIZED = {"inference": {"prompt_tokens": 8, "max_output_tokens": 8}}


@pytest.fixture
def homes(plane: ControlPlane, clock: Clock) -> list[Caller]:
    """Homes that were allowed to use the model."""
    clock.now += 600.0
    found = [plane.enrol("consumer") for _ in range(6)]
    allow(*found)
    return found


def allow(*callers: Caller, model: str = "smart-home-intents") -> None:
    """Have policy allow an inference."""
    for caller in callers:
        document = {
            "action": "inference",
            "resource": {"type": "model", "id": model},
            "audience": "gateway-1",
            "context": SIZED,
        }
        caller.post("/v1/capabilities", document).expect(201)


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
    allow(homes[0], model=ENCODER)
    reported = [signals(homes[0], clock, model=model) for model in ("smart-home-intents", ENCODER)]
    assert report(plane, watch, *reported, *reported) == SignalsTaken(judged=2, passed_over=2)


@pytest.mark.parametrize("role", ["aggregator", "operator", "trainer", "consumer"])
def test_of_who_was_allowed_no_inference_none_is_believed(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller], role: str
) -> None:
    stranger = plane.enrol(role)
    for _ in range(6):
        clock.now += WINDOW
        honest = [signals(caller, clock) for caller in homes]
        lies = [signals(stranger, clock, injections=10), signals(stranger, clock, model=ENCODER, injections=10)]
        assert report(plane, watch, *honest, *lies) == SignalsTaken(judged=6, passed_over=2)
    kept = plane.run(plane.services.behaviour.subjects.kept([stranger.id]))[stranger.id]
    assert (kept.status, kept.record) == ("active", None)
    assert plane.run(plane.store.profiles.get("inference", [stranger.id])) == {}


def test_who_was_denied_an_inference_made_none(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    trainer = plane.enrol("trainer")
    trainer.capability("inference", inference=SIZED["inference"]).expect(403)
    assert report(plane, watch, signals(trainer, clock)) == SignalsTaken(judged=0, passed_over=1)


def test_another_model_than_the_allowed_one_and_an_earlier_hour_do_not_count(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    assert report(plane, watch, signals(homes[0], clock, model=ENCODER)).judged == 0
    clock.now += LATELY_SECONDS + 2 * WINDOW
    assert report(plane, watch, signals(homes[0], clock)).judged == 0
    allow(homes[0])
    assert report(plane, watch, signals(homes[0], clock)).judged == 1


def test_what_another_worker_allowed_is_known_once_it_has_judged_its_window(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    services = plane.services
    uses = Uses(plane.store.profiles)
    other = SignalWatch(
        services.behaviour.responder, plane.store.profiles, services.registry, watch._observer, plane.clock, uses
    )
    assert plane.run(other.report(GATEWAY, [signals(homes[0], clock)])).judged == 0
    clock.now += WINDOW
    plane.run(services.behaviour.requests._fold())
    assert plane.run(other.report(GATEWAY, [signals(homes[0], clock)])).judged == 1


def test_what_a_worker_remembers_of_uses_is_bounded() -> None:
    uses = Uses(None, most=3)  # type: ignore[arg-type]
    for number in range(200):
        uses.allowed(f"dev-{number % 5}", f"model-{number}", float(number))
    assert sorted(uses._own) == ["dev-2", "dev-3", "dev-4"]
    for number in range(200):
        uses.allowed("dev-4", f"model-{number}", float(number))
    assert list(uses._own["dev-4"].values()) == [float(number) for number in range(184, 200)]


def test_a_window_shorter_than_policy_judges_by_does_not_count(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    short = [signals(homes[0], clock, started_at=clock.now - 1.0 - at, seconds=1.0) for at in range(18, 0, -1)]
    assert report(plane, watch, *short) == SignalsTaken(judged=0, passed_over=18)
    assert report(plane, watch, signals(homes[0], clock)).judged == 1


@pytest.mark.parametrize("injections", [0, 10])
def test_of_many_copies_at_once_one_counts(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller], injections: int
) -> None:
    for _ in range(3):
        clock.now += WINDOW
        report(plane, watch, *(signals(caller, clock) for caller in homes))
    clock.now += WINDOW
    copy = signals(homes[0], clock, injections=injections)

    async def at_once() -> list[SignalsTaken]:
        return await asyncio.gather(*(watch.report(GATEWAY, [copy]) for _ in range(12)))

    def steps() -> int:
        record = plane.run(plane.services.behaviour.subjects.kept([homes[0].id]))[homes[0].id].record
        return record.wealth["inference"].steps if record else 0

    before = steps()
    assert sum(one.judged for one in plane.run(at_once())) == 1
    assert steps() == before + 1


def test_invented_models_make_no_room_for_the_same_window_again(
    plane: ControlPlane, clock: Clock, watch: SignalWatch, homes: list[Caller]
) -> None:
    one = signals(homes[0], clock)
    assert report(plane, watch, one).judged == 1
    invented = [signals(homes[0], clock, model=f"model-{number}") for number in range(40)]
    for part in range(0, 40, 4):
        assert report(plane, watch, *invented[part : part + 4]).judged == 0
    assert report(plane, watch, one).judged == 0


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
        patched.setattr(plane.services.behaviour.responder._terms, "in_force", nothing)
        with pytest.raises(Unjudged):
            report(plane, watch, *reported)
    assert report(plane, watch, *reported).judged == 6
