"""A probation ends with sound behaviour where it was unsound, at a real control plane, and with nothing else."""

from itertools import count

import pytest

from controlplane.contracts.behaviour import BehaviourRecord, Wealth
from controlplane.contracts.identity import Device
from controlplane.contracts.observed import Observed
from controlplane.decisions.responding import Observation
from tests.clocks import Clock
from tests.support import Caller, ControlPlane

ROUNDS = count(1)
DAY = 86_401.0


@pytest.fixture
def aggregator(plane: ControlPlane) -> Caller:
    return plane.enrol("aggregator")


@pytest.fixture
def homes(plane: ControlPlane, clock: Clock) -> list[Caller]:
    clock.now += 600.0
    return [plane.enrol("trainer") for _ in range(6)]


def submit(plane: ControlPlane, aggregator: Caller, homes: list[Caller], *, nonfinite: int = 0) -> str:
    """Have all submit an update, the first one one with so many values that are no numbers; return what it may."""
    number = next(ROUNDS)
    aggregator.open_round(f"probation-{number}", homes)
    reports = []
    for at, caller in enumerate(homes):
        token = caller.capability("gradient_submission", round_id=f"probation-{number}").expect(201)["access_token"]
        wrong = {"nonfinite": nonfinite} if at == 0 else {}
        reports.append(plane.report(caller, token, update_digest=f"sha256:{number * 100 + at:064x}", **wrong))
    answer = aggregator.post(f"/v1/rounds/probation-{number}/updates", {"updates": reports}).expect(200)
    return "admitted" if answer["verdicts"][0]["decision"] else "kept out"


def record(plane: ControlPlane, caller: Caller) -> BehaviourRecord:
    found = plane.run(plane.services.behaviour.subjects.kept([caller.id]))[caller.id].record
    assert found is not None
    return found


def device(plane: ControlPlane, caller: Caller) -> Device:
    found = plane.run(plane.services.registry.get(caller.id))
    assert found is not None
    return found


def request(plane: ControlPlane, clock: Clock, caller: Caller) -> None:
    """Let a window pass in which nobody asks for anything odd."""
    clock.now += 60.0
    one = device(plane, caller)
    plane.run(plane.services.behaviour.responder.observe("access", [Observation(one, 0.0, one.segment)]))


def as_after_a_thousand_requests(plane: ControlPlane, caller: Caller) -> None:
    # The plane judges what was really asked, at the same time.
    stale = True
    while stale:
        kept = plane.run(plane.services.behaviour.subjects.kept([caller.id]))[caller.id]
        assert kept.record is not None
        busy = {**kept.record.wealth, "access": Wealth(active=0.001, waiting=0.0, steps=49, conforming=999)}
        changed = kept.record.model_copy(update={"wealth": busy, "conforming": 40.0, "deviating": 0.0})
        one = Observed(subject=caller.id, version=kept.version, record=changed, e_value=0.7, trust=kept.trust)
        stale = bool(plane.run(plane.services.behaviour.subjects.apply([one])))


def test_requests_end_no_probation_of_who_was_convicted_by_updates_and_updates_do(
    plane: ControlPlane, clock: Clock, aggregator: Caller, homes: list[Caller]
) -> None:
    bad = homes[0]
    while not (submit(plane, aggregator, homes, nonfinite=5) and record(plane, bad).state == "quarantined"):
        clock.now += 60.0
    clock.now += DAY
    plane.run(plane.services.behaviour.responder.time_passed(device(plane, bad)))
    assert record(plane, bad).state == "recovering"
    assert record(plane, bad).wealth["updates"].convicted >= 50.0
    request(plane, clock, bad)
    as_after_a_thousand_requests(plane, bad)
    request(plane, clock, bad)
    assert record(plane, bad).state == "recovering"
    assert record(plane, bad).wealth["access"].conforming >= 1000
    assert device(plane, bad).trust.score >= 0.75
    states: list[str] = []
    for _ in range(5):
        clock.now += 60.0
        assert submit(plane, aggregator, homes) == ("kept out" if len(states) < 4 else "admitted")
        states.append(record(plane, bad).state)
    assert states == ["recovering"] * 4 + ["watched"]
    assert record(plane, bad).wealth["updates"].convicted == 0.0
