"""Requests, watched at a real control plane: what is taken note of, what is made of it, and what it survives."""

import asyncio
from typing import Any

import pytest

from controlplane.behavior.requests import RequestProfile
from controlplane.contracts.decision import Decision, Obligations, Outcome
from controlplane.decisions.watching import RequestWatch
from controlplane.storage import StoreUnavailable
from controlplane.storage.profiles import KeptProfile
from tests.clocks import Clock
from tests.support import Caller, ControlPlane

WINDOW = 60.0


def watch_of(plane: ControlPlane, **options: Any) -> RequestWatch:
    """A watch of another worker, on the same store."""
    services = plane.services
    return RequestWatch(
        services.behaviour.responder, plane.store.profiles, services.registry, Observed(), plane.clock, **options
    )


class Observed:
    """Takes down what is counted."""

    def __init__(self) -> None:
        self.folded = self.dropped = self.lost = 0
        self.scores: list[float] = []

    def requests_watched(self, folded: int, dropped: int) -> None:
        self.folded += folded
        self.dropped += dropped

    def windows_judged(self, channel: str, scores: list[float], lost: int) -> None:
        assert channel == "access"
        self.scores += scores
        self.lost += lost


def asked(caller: str, now: float, **changes: Any) -> dict[str, Any]:
    """The facts of an inference."""
    known = {"status": "active", "segment": "homes"} | changes.pop("known", {})
    return {
        "subject": {"type": "device", "id": caller, "properties": known},
        "action": {"name": "inference"},
        "resource": {"type": "model", "id": "smart-home-intents", "properties": {}},
        "context": {"time": now, "network": {"address": "10.20.0.1"}} | changes,
    }


def decided(outcome: Outcome = "allow") -> Decision:
    return Decision(
        id="dec-1",
        time=0.0,
        action="inference",
        subject="dev-1",
        resource="smart-home-intents",
        outcome=outcome,
        reasons=[],
        obligations=Obligations(),
        rules=[],
        ttl_seconds=0.0,
        policy_revision="r1",
    )


def spend(plane: ControlPlane, clock: Clock, watch: RequestWatch, **counts: int) -> None:
    """Let a minute pass in which subjects ask so often."""
    for name, count in counts.items():
        for _ in range(count):
            watch.saw(asked(NAMES[name], clock.now), decided())
    clock.now += WINDOW
    plane.run(watch._fold())


NAMES: dict[str, str] = {}


@pytest.fixture
def homes(plane: ControlPlane, clock: Clock) -> list[Caller]:
    clock.now = (clock.now // WINDOW + 1) * WINDOW
    found = [plane.enrol("consumer") for _ in range(6)]
    NAMES.clear()
    NAMES.update({f"home{number}": caller.id for number, caller in enumerate(found)})
    return found


def kept(plane: ControlPlane, caller: Caller) -> RequestProfile | None:
    found = plane.run(plane.store.profiles.get("access", [caller.id]))
    return RequestProfile.model_validate_json(found[caller.id].document) if found else None


def standing(plane: ControlPlane, caller: Caller) -> str:
    device = plane.run(plane.store.devices.get(caller.id))
    assert device is not None
    return device.status


def test_what_a_device_asks_for_is_taken_note_of_denied_or_not(plane: ControlPlane, homes: list[Caller]) -> None:
    watch = plane.services.behaviour.requests
    plane.run(watch._fold())
    before = plane.metric("ztfm_requests_watched_total", result="folded")
    homes[0].capability("inference", inference={"prompt_tokens": 5, "max_output_tokens": 5}).expect(201)
    homes[0].capability("gradient_submission", round_id="none").expect(403)
    homes[0].get("/v1/decisions?limit=1")
    plane.run(watch._fold())
    assert plane.metric("ztfm_requests_watched_total", result="folded") == before + 2


def test_what_is_evaluated_counts_for_the_subject_and_from_where_it_is_said_to_be(
    plane: ControlPlane, clock: Clock, homes: list[Caller]
) -> None:
    gateway = plane.enrol("gateway")
    document = {
        "subject": {"type": "device", "id": homes[0].id},
        "action": {"name": "inference"},
        "resource": {"type": "model", "id": "smart-home-intents"},
        "context": {"network": {"address": "10.20.77.5"}, "inference": {"prompt_tokens": 5, "max_output_tokens": 5}},
    }
    gateway.post("/access/v1/evaluation", document).expect(200)
    clock.now += WINDOW
    plane.run(plane.services.behaviour.requests._fold())
    profile = kept(plane, homes[0])
    assert profile is not None
    assert profile.windows == 1
    assert kept(plane, gateway) is None


def test_a_search_is_nobodys_request(plane: ControlPlane, clock: Clock, homes: list[Caller]) -> None:
    gateway = plane.enrol("gateway")
    search = {
        "subject": {"type": "device"},
        "action": {"name": "inference"},
        "resource": {"type": "model", "id": "smart-home-intents"},
    }
    gateway.post("/access/v1/search/subject", search).expect(200)
    clock.now += WINDOW
    plane.run(plane.services.behaviour.requests._fold())
    assert all(kept(plane, caller) is None for caller in homes)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [({"known": {"status": "quarantined"}}, "deny"), ({"known": {"status": "revoked"}}, "deny"), ({}, "error")],
)
def test_who_is_set_apart_and_what_nobody_decided_is_passed_over(
    plane: ControlPlane, clock: Clock, homes: list[Caller], changes: dict[str, Any], outcome: Outcome
) -> None:
    watch = watch_of(plane)
    watch.saw(asked(homes[0].id, clock.now, **changes), decided(outcome))
    stranger = asked("dev-stranger", clock.now)
    del stranger["subject"]["properties"]
    watch.saw(stranger, decided("deny"))
    assert not watch._waiting


def test_a_flood_is_set_apart_within_five_minutes_and_nobody_else_is(
    plane: ControlPlane, clock: Clock, homes: list[Caller]
) -> None:
    watch = plane.services.behaviour.requests
    for _ in range(3):
        spend(plane, clock, watch, **dict.fromkeys(NAMES, 3))
    for _ in range(5):
        spend(plane, clock, watch, **dict.fromkeys(NAMES, 3) | {"home0": 600})
    assert [standing(plane, caller) for caller in homes] == ["quarantined", *["active"] * 5]
    operator = plane.enrol("operator")
    told = operator.get(f"/v1/devices/{homes[0].id}/behaviour").expect(200)
    assert told["state"] == "quarantined"
    verdict = told["verdicts"][0]
    assert (verdict["channel"], verdict["attribution"]["attack"]) == ("access", "overuse")
    homes[0].capability("inference", inference={"prompt_tokens": 5, "max_output_tokens": 5}).expect(403)


def test_an_unremarkable_minute_asks_policy_nothing(plane: ControlPlane, clock: Clock, homes: list[Caller]) -> None:
    def responses() -> float:
        return plane.metric("ztfm_decisions_total", action="response", outcome="allow")

    watch, before = plane.services.behaviour.requests, responses()
    for _ in range(3):
        spend(plane, clock, watch, **dict.fromkeys(NAMES, 3))
    assert responses() == before
    assert {standing(plane, caller) for caller in homes} == {"active"}


def test_what_is_usual_outlives_a_restart_and_is_known_to_every_worker(
    plane: ControlPlane, clock: Clock, homes: list[Caller]
) -> None:
    first, second = watch_of(plane), watch_of(plane)
    for watch in (first, second, first):
        spend(plane, clock, watch, **dict.fromkeys(NAMES, 3))
    profile = kept(plane, homes[0])
    assert profile is not None
    assert profile.windows == 3


def test_of_two_workers_that_learn_at_the_same_time_one_is_kept(
    plane: ControlPlane, clock: Clock, homes: list[Caller]
) -> None:
    watches = [watch_of(plane) for _ in range(2)]
    for watch in watches:
        for caller in homes:
            watch.saw(asked(caller.id, clock.now), decided())
    clock.now += WINDOW

    async def both() -> None:
        await asyncio.gather(*(watch._fold() for watch in watches))

    plane.run(both())
    profile = kept(plane, homes[0])
    assert profile is not None
    assert profile.windows in (1, 2)


def test_what_waits_is_bounded_and_what_is_dropped_counted(
    plane: ControlPlane, clock: Clock, homes: list[Caller]
) -> None:
    watch = watch_of(plane, capacity=10)
    for _ in range(25):
        watch.saw(asked(homes[0].id, clock.now), decided())
    plane.run(watch._fold())
    assert (watch._observer.folded, watch._observer.dropped) == (10, 15)  # type: ignore[attr-defined]


def test_while_policy_does_not_say_how_to_judge_requests_wait(
    plane: ControlPlane, clock: Clock, homes: list[Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watch_of(plane)
    watch.saw(asked(homes[0].id, clock.now), decided())

    async def nothing() -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(plane.services.behaviour.responder._terms, "in_force", nothing)
        plane.run(watch._fold())
        assert len(watch._waiting) == 1
    plane.run(watch._fold())
    assert not watch._waiting


def test_a_window_that_cannot_be_judged_is_lost_and_the_next_one_is_judged(
    plane: ControlPlane, clock: Clock, homes: list[Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watch_of(plane)
    observed = watch._observer

    async def down(*_: object) -> None:
        raise StoreUnavailable("look up behaviour", "nowhere", "it is down")

    with monkeypatch.context() as patched:
        patched.setattr(plane.services.behaviour.responder._records, "kept", down)
        spend(plane, clock, watch, **dict.fromkeys(NAMES, 3))
    assert observed.lost == 6  # type: ignore[attr-defined]
    spend(plane, clock, watch, **dict.fromkeys(NAMES, 3))
    assert len(observed.scores) == 6  # type: ignore[attr-defined]


async def test_the_work_goes_on_after_a_fault(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []

    async def sleep(seconds: float) -> None:
        turns.append(seconds)
        await asyncio.sleep(0)

    watch = watch_of(plane, sleep=sleep)

    async def fails() -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(watch, "_fold", fails)
    async with watch:
        while len(turns) < 5:  # noqa: ASYNC110 - the watch offers nothing to wait for
            await asyncio.sleep(0)
    assert watch._work is not None
    assert watch._work.cancelled()


def test_a_profile_that_nobody_can_read_any_more_is_learnt_anew(
    plane: ControlPlane, clock: Clock, homes: list[Caller]
) -> None:
    spoilt = {homes[0].id: KeptProfile(b'{"windows": "many"}', 0)}
    plane.run(plane.store.profiles.put("access", spoilt, clock.now))
    spend(plane, clock, watch_of(plane), **dict.fromkeys(NAMES, 3))
    profile = kept(plane, homes[0])
    assert profile is not None
    assert profile.windows == 1


def test_the_length_of_a_window_is_policys(plane: ControlPlane, clock: Clock, homes: list[Caller]) -> None:
    watch = watch_of(plane)
    in_force = plane.run(plane.services.behaviour.responder.in_force())
    assert in_force is not None
    spend(plane, clock, watch, home0=1)
    assert watch._windows is not None
    assert watch._windows.seconds == in_force.terms.observation_seconds
