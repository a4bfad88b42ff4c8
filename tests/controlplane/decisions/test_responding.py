"""What is judged is decided on and kept, once, whoever else writes at the same time; on a real store."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from controlplane.behavior import Judge, Judged, Known
from controlplane.contracts.behaviour import BehaviourState, BehaviourTerms, Wealth
from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.identity import Device, Trust
from controlplane.contracts.observed import Kept
from controlplane.contracts.rollback import Contribution, Rollback
from controlplane.contracts.rounds import Round
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.responding import ATTEMPTS, Contended, Observation, Responder
from controlplane.decisions.responses import Response
from controlplane.decisions.rollbacks import POLICY, RollbackBook
from controlplane.identity.registry import Registry
from controlplane.storage import Store, StoreUnavailable, open_store
from tests.clocks import Clock
from tests.controlplane import behaving
from tests.controlplane.behaving import NOW, TERMS, attribution, observed, record
from tests.controlplane.storage.breaking import break_writes

NEWCOMER = Trust(score=0.6, observations=0)
_TERMS = BehaviourTerms.model_validate(
    {
        **TERMS,
        "heterogeneity": 1.0,
        "levels": [0.005, 0.05],
        "weights": {"updates": 0.0, "access": 1.0, "inference": 0.0},
    }
)
HOSTILE = 1e6


class Terms:
    def __init__(self) -> None:
        self.found: InForce | None = InForce("r1", _TERMS, Judge(_TERMS))

    async def in_force(self) -> InForce | None:
        return self.found


class Decider:
    """The rule of the response policy in a few words: too much evidence sets apart, time lets back."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.before: Callable[[], Any] | None = None

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        self.asked.append(facts)
        if self.before is not None:
            await self.before()
        told = facts["context"]["behaviour"]
        state: BehaviourState = "quarantined" if told["e_value"] >= 50 else told["state"]
        if told["state"] == "quarantined" and told["state_age_seconds"] >= 100:
            state = "recovering"
        rounds = 20 if state == "quarantined" and told["contributed"] else None
        return Decision(
            id=f"dec-{len(self.asked)}",
            time=NOW,
            action=package,
            subject=facts["subject"]["id"],
            resource=facts["resource"]["id"],
            outcome="allow",
            reasons=[],
            obligations=Obligations(state=state, rollback_rounds=rounds),
            rules=["state_known"],
            ttl_seconds=30.0,
            policy_revision="r1",
        )


class Noted:
    """Takes down what is counted."""

    def __init__(self) -> None:
        self.responses: list[Response] = []
        self.rollbacks: list[str] = []

    def responded(self, response: Response) -> None:
        self.responses.append(response)

    def rollback(self, outcome: str) -> None:
        self.rollbacks.append(outcome)

    def rollbacks_waiting(self, count: int, age_seconds: float) -> None:
        raise AssertionError("nobody follows")


class Side:
    """One control plane's part in this."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store, self.terms, self.decider, self.noted = store, Terms(), Decider(), Noted()
        self.responder = Responder(
            self.terms,
            store.behaviour,
            store.observations,
            store.contributions,
            Registry(store, clock),
            self.decider,
            RollbackBook(store.rollbacks, self.noted, clock),
            self.noted,
            clock,
            NEWCOMER,
        )

    async def observe(self, device: Device, score: float) -> Response:
        found = await self.responder.observe("access", [observation(device, score)])
        assert found is not None
        return found[device.id]

    async def kept(self, device: Device) -> Kept:
        return (await self.store.behaviour.kept([device.id]))[device.id]

    async def ordered(self) -> list[Rollback]:
        return sorted(await self.store.rollbacks.page(), key=lambda one: one.model)


def observation(device: Device, score: float, peers: str = "homes") -> Observation:
    return Observation(device, score, peers, attribution(attack="overuse") if score else None)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
async def sides(tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[Side, Side]]:
    """Two control planes on one store."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"
    stores = [await open_store(url) for _ in range(2)]
    first, second = (Side(store, clock) for store in stores)
    yield first, second
    for store in stores:
        await store.close()


@pytest.fixture
def side(sides: tuple[Side, Side]) -> Side:
    return sides[0]


@pytest.fixture
async def device(side: Side) -> Device:
    made = behaving.device()
    await side.store.devices.add(made)
    return made


@pytest.fixture
async def peers(side: Side) -> list[Device]:
    """Enough of them that everybody has somebody to be compared with."""
    made = [behaving.device() for _ in range(25)]
    for one in made:
        await side.store.devices.add(one)
    for _ in range(12):
        await side.responder.observe("access", [observation(one, 0.0) for one in made])
    side.noted.responses.clear()
    return made


def _round(name: str, model: str, opens_at: float = NOW) -> Round:
    return Round(
        id=name,
        model=model,
        model_digest=f"sha256:{'a' * 64}",
        members=["dev-a"],
        opened_by="agg-1",
        opens_at=opens_at,
        closes_at=NOW + 60,
        state="open",
    )


def _contribution(device: Device, name: str) -> Contribution:
    return Contribution(round_id=name, subject=device.id, update_digest=f"sha256:{'e' * 64}", decision_id="d", time=NOW)


async def _contribute(side: Side, device: Device, models: Sequence[str]) -> None:
    given = []
    for number, model in enumerate(models):
        await side.store.rounds.add(_round(f"r{number}", model))
        given.append(_contribution(device, f"r{number}"))
    kept = await side.kept(device)
    await side.store.behaviour.apply([observed(device.id, kept.version, record=record())], given)


async def test_an_observation_is_judged_decided_on_kept_and_counted(
    side: Side, device: Device, peers: list[Device]
) -> None:
    response = await side.observe(device, HOSTILE)
    assert response.judged is not None
    assert response.judged.p_value is not None
    assert response.judged.p_value < 0.05
    kept = await side.kept(device)
    assert kept.record is not None
    assert kept.record.wealth["access"].steps == 1
    assert kept.e_value == response.judged.e_value > 1.0
    assert kept.trust == Trust(score=response.judged.trust.score, observations=1)
    [verdict] = await side.store.observations.verdicts(device.id, 9)
    assert verdict.attribution is not None
    assert side.noted.responses == [response]


async def test_who_goes_on_is_set_apart_and_what_it_contributed_is_undone_once_in_each_model(
    side: Side, device: Device, peers: list[Device]
) -> None:
    await _contribute(side, device, ["m1", "m0", "m1"])
    states = [(await side.observe(device, HOSTILE)).state for _ in range(8)]
    assert states[0] == "watched"
    assert states[-1] == "quarantined"
    assert (await side.kept(device)).status == "quarantined"
    decision = next(one for one in side.noted.responses if one.state == "quarantined").decision
    assert decision is not None
    found = await side.ordered()
    assert [(one.model, one.round_id, one.subjects) for one in found] == [
        ("m0", "r1", [device.id]),
        ("m1", "r0", [device.id]),
    ]
    assert {(one.decision_id, one.ordered_by, one.state) for one in found} == {(decision.id, POLICY, "ordered")}
    assert side.noted.rollbacks == ["ordered", "ordered"]


async def test_while_policy_does_not_say_how_to_judge_nothing_is(side: Side, device: Device) -> None:
    side.terms.found = None
    assert await side.responder.observe("access", [observation(device, HOSTILE)]) is None
    assert await side.responder.time_passed(device) is None
    assert side.decider.asked == []
    assert (await side.kept(device)).version == 0


async def test_nobody_is_observed_twice_at_a_time(side: Side, device: Device) -> None:
    with pytest.raises(ValueError, match="named twice"):
        await side.responder.observe("access", [observation(device, 0.0)] * 2)
    assert await side.responder.observe("access", []) == {}


async def test_who_is_not_registered_is_left_alone(side: Side) -> None:
    assert await side.responder.observe("access", [observation(behaving.device(), HOSTILE)]) == {}


async def test_two_that_observe_the_same_subject_lose_nothing(
    sides: tuple[Side, Side], device: Device, peers: list[Device]
) -> None:
    for _ in range(4):
        await asyncio.gather(*(side.observe(device, 0.0) for side in sides))
    kept = await sides[0].kept(device)
    assert kept.record is not None
    assert kept.record.wealth["access"].steps == 8
    assert kept.trust.observations == 8
    assert sum(len(side.noted.responses) for side in sides) == 8


async def test_what_somebody_else_changed_meanwhile_is_judged_anew_and_what_nobody_changed_is_not(
    sides: tuple[Side, Side], device: Device, peers: list[Device]
) -> None:
    side, other = sides
    await side.observe(device, 0.0)
    told: list[Mapping[str, Response]] = []
    side.decider.asked.clear()

    async def _then(fresh: Mapping[str, Response]) -> Sequence[Contribution]:
        told.append(fresh)
        if len(told) == 1:
            await other.observe(device, HOSTILE)
        return ()

    in_force = await side.responder.in_force()
    assert in_force is not None
    pair = {one.id: one for one in (device, peers[0])}

    async def _judge(kept: Mapping[str, Kept]) -> Mapping[str, Judged | None]:
        pools = await side.responder.peers("access", ["homes"])
        return {
            name: in_force.judge.observation(
                "access", name, 0.0, "homes", pools["homes"], Known(one.record, "homes"), None, NOW
            )
            for name, one in kept.items()
        }

    responses, contended = await side.responder.settle(in_force, pair, _judge, _then, channel="access")
    assert contended == frozenset()
    assert [set(one) for one in told] == [set(pair), {device.id}]
    assert [one["subject"]["id"] for one in side.decider.asked[2:]] == [device.id]
    kept = await side.kept(device)
    assert kept.record is not None
    assert kept.record.wealth["access"].steps == 3
    assert responses[device.id].observed.record.wealth["access"].steps == 3


async def test_who_is_changed_again_and_again_is_given_up_with_nothing_kept(
    sides: tuple[Side, Side], device: Device
) -> None:
    side, other = sides

    async def _change() -> None:
        kept = await other.kept(device)
        await other.store.behaviour.apply([observed(device.id, kept.version)])

    side.decider.before = _change
    with pytest.raises(Contended):
        await side.observe(device, HOSTILE)
    assert len(side.decider.asked) == ATTEMPTS
    assert (await side.kept(device)).version == ATTEMPTS
    assert side.noted.responses == []


async def test_a_person_s_word_that_comes_in_between_holds(
    sides: tuple[Side, Side], device: Device, peers: list[Device]
) -> None:
    side, other = sides
    while (await side.kept(device)).e_value < 2.0:
        await side.observe(device, HOSTILE)

    async def _hold() -> None:
        side.decider.before = None
        await other.store.devices.set_status(device.id, "quarantined")

    side.decider.before = _hold
    response = await side.observe(device, HOSTILE)
    assert response.state == "watched"
    assert (await side.kept(device)).status == "quarantined"
    assert await side.store.behaviour.set_apart(9) == []


async def test_time_lets_back_whom_policy_set_apart_and_nobody_else(side: Side, device: Device, clock: Clock) -> None:
    apart = record(state="quarantined", since=NOW)
    await side.store.behaviour.apply([observed(device.id, record=apart, status="quarantined", e_value=60.0)])
    clock.now = NOW + 99.0
    early = await side.responder.time_passed(device)
    assert early is not None
    assert early.state == "quarantined"
    clock.now = NOW + 100.0
    response = await side.responder.time_passed(device)
    assert response is not None
    assert (response.state, response.judged) == ("recovering", None)
    kept = await side.kept(device)
    assert (kept.status, kept.e_value, kept.trust) == ("active", 1.0, NEWCOMER)
    assert await side.responder.time_passed(device) is None
    assert await side.store.observations.verdicts(device.id, 9) == []


async def test_when_the_store_is_down_nothing_is_counted(side: Side, device: Device) -> None:
    async def _down() -> None:
        await side.store.close()

    side.decider.before = _down
    with pytest.raises(StoreUnavailable):
        await side.observe(device, HOSTILE)
    assert side.noted.responses == []


async def _almost_apart(side: Side, device: Device, models: Sequence[str] = ("m1",)) -> None:
    """Have a device contribute, and what is known of it such that whatever it does next sets it apart."""
    await _contribute(side, device, models)
    lasting = record(wealth={"access": Wealth(active=1e9)})
    await side.store.behaviour.apply([observed(device.id, 1, record=lasting, e_value=40.0)])


async def test_where_an_order_cannot_be_kept_neither_is_the_response_and_both_are_when_it_is_asked_again(
    side: Side, device: Device, logged: io.StringIO
) -> None:
    await _almost_apart(side, device)
    before = await side.kept(device)
    await break_writes(side.store, "INSERT ON rollbacks")
    with pytest.raises(StoreUnavailable):
        await side.observe(device, HOSTILE)
    assert (await side.kept(device), await side.ordered()) == (before, [])
    assert (side.noted.responses, side.noted.rollbacks) == ([], [])
    assert "rollback_ordered" not in logged.getvalue()
    await side.store._database.change("mend the table", text("DROP TRIGGER broken"))
    assert (await side.observe(device, HOSTILE)).state == "quarantined"
    assert [(one.round_id, one.subjects) for one in await side.ordered()] == [("r0", [device.id])]
    assert side.noted.rollbacks == ["ordered"]
    assert logged.getvalue().count("rollback_ordered") == 1


async def test_of_a_response_that_others_keep_from_being_written_an_order_is_given_once_it_is(
    sides: tuple[Side, Side], device: Device
) -> None:
    side, other = sides
    await _almost_apart(side, device)
    seen: list[list[Rollback]] = []

    async def _meddle(_fresh: Mapping[str, Response]) -> Sequence[Contribution]:
        seen.append(await side.ordered())
        if len(seen) < ATTEMPTS:
            # Somebody else contributes for it meanwhile, to a model that it had no part in when it was judged.
            number, kept = len(seen), await other.kept(device)
            assert kept.record is not None
            await other.store.rounds.add(_round(f"n{number}", f"n{number}"))
            again = observed(device.id, kept.version, record=kept.record)
            await other.store.behaviour.apply([again], [_contribution(device, f"n{number}")])
        return ()

    responses = await _settle(side, device, _meddle)
    assert responses[device.id].state == "quarantined"
    assert seen == [[]] * ATTEMPTS
    assert [one.model for one in await side.ordered()] == ["m1", *(f"n{number}" for number in range(1, ATTEMPTS))]
    assert side.noted.rollbacks == ["ordered"] * ATTEMPTS


async def test_what_is_contributed_while_it_is_looked_up_who_contributed_is_undone_too(
    sides: tuple[Side, Side], device: Device
) -> None:
    side, other = sides
    await _almost_apart(side, device)
    await other.store.rounds.add(_round("n1", "n1"))
    look, look_up = side.store.behaviour.kept, side.store.contributions.rounds_of
    meanwhile = [await side.kept(device)]

    async def _late(subjects: Collection[str]) -> dict[str, Kept]:
        await asyncio.sleep(0.05)
        return await look(subjects)

    async def _outrun(subjects: Collection[str]) -> dict[str, dict[str, int]]:
        found = await look_up(subjects)
        while meanwhile:
            kept = meanwhile.pop()
            assert kept.record is not None
            again = observed(device.id, kept.version, record=kept.record, e_value=kept.e_value)
            await other.store.behaviour.apply([again], [_contribution(device, "n1")])
        return found

    side.store.behaviour.kept = _late  # type: ignore[method-assign]
    side.store.contributions.rounds_of = _outrun  # type: ignore[method-assign]
    assert (await side.observe(device, HOSTILE)).state == "quarantined"
    assert [one.model for one in await side.ordered()] == ["m1", "n1"]


async def test_what_is_contributed_with_the_response_is_undone_too(side: Side, device: Device) -> None:
    await _almost_apart(side, device)
    await side.store.rounds.add(_round("r8", "m1", opens_at=NOW - 5))

    async def _then(_fresh: Mapping[str, Response]) -> Sequence[Contribution]:
        return [_contribution(device, "r8")]

    await _settle(side, device, _then)
    assert [(one.model, one.round_id) for one in await side.ordered()] == [("m1", "r8")]


async def test_what_is_contributed_with_the_response_to_a_model_for_the_first_time_is_undone_too(
    side: Side, device: Device
) -> None:
    await _almost_apart(side, device)
    await side.store.rounds.add(_round("n1", "n1"))

    async def _then(_fresh: Mapping[str, Response]) -> Sequence[Contribution]:
        return [_contribution(device, "n1")]

    await _settle(side, device, _then, "n1")
    assert [(one.model, one.round_id) for one in await side.ordered()] == [("m1", "r0"), ("n1", "n1")]


async def test_who_is_changed_again_and_again_does_not_keep_the_others_from_being_kept(
    sides: tuple[Side, Side], device: Device, peers: list[Device]
) -> None:
    side, other = sides
    await side.store.rounds.add(_round("r1", "m1"))
    in_force = await side.responder.in_force()
    assert in_force is not None
    told: list[set[str]] = []

    async def _judge(kept: Mapping[str, Kept]) -> Mapping[str, Judged | None]:
        pool = in_force.judge.pool("access", "homes", [])
        return {
            name: in_force.judge.observation("access", name, 0.0, "homes", pool, Known(one.record, "homes"), None, NOW)
            for name, one in kept.items()
        }

    async def _then(fresh: Mapping[str, Response]) -> Sequence[Contribution]:
        told.append(set(fresh))
        kept = await other.kept(device)
        await other.store.behaviour.apply([observed(device.id, kept.version)])
        return [_contribution(one, "r1") for one in everybody.values()]

    everybody = {one.id: one for one in (device, *peers[:3])}
    before = await side.store.behaviour.kept(everybody)
    settled = await side.responder.settle(in_force, everybody, _judge, _then, channel="access", round_id="r1")
    assert settled.contended == {device.id}
    others = everybody.keys() - {device.id}
    assert settled.responses.keys() == others
    assert told == [set(everybody), *[{device.id}] * (ATTEMPTS - 1)]
    kept = await side.store.behaviour.kept(everybody)
    assert {name: kept[name].version - before[name].version for name in others} == dict.fromkeys(others, 1)
    assert {one.subject for one in await side.store.contributions.of_round("r1")} == others
    assert {one.device.id for one in side.noted.responses} == others


async def test_whoever_writes_of_the_same_subject_here_waits_and_makes_nothing_stale(
    side: Side, device: Device, peers: list[Device]
) -> None:
    side.decider.asked.clear()
    turns = [
        side.responder.observe("access", [observation(one, HOSTILE) for one in (device, peers[n % 3])])
        for n in range(9)
    ]
    found = await asyncio.gather(*turns)
    assert all(one is not None and len(one) == 2 for one in found)
    assert len(side.decider.asked) == 18, "each was decided on once"
    assert side.responder._holds._turns == {}


async def test_an_order_is_given_although_whoever_observed_does_not_wait_for_it(
    sides: tuple[Side, Side], device: Device
) -> None:
    side, other = sides
    await _almost_apart(side, device)
    begun = asyncio.Event()
    record_ = side.store.behaviour.record

    async def _begin(*given: Any) -> Any:
        writing = asyncio.create_task(record_(*given))
        await asyncio.sleep(0)
        begun.set()
        return await writing

    side.store.behaviour.record = _begin  # type: ignore[method-assign, assignment]
    observing = asyncio.create_task(side.observe(device, HOSTILE))
    await begun.wait()
    observing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await observing
    # What is under way is finished first.
    await side.store.close()
    assert (await other.kept(device)).status == "quarantined"
    assert [one.subjects for one in await other.ordered()] == [[device.id]]


async def test_where_too_many_orders_wait_a_subject_is_set_apart_all_the_same_and_it_is_said(
    side: Side, device: Device, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
) -> None:
    monkeypatch.setattr("controlplane.storage.undoing.MOST_OUTSTANDING", 0)
    await _almost_apart(side, device)
    assert (await side.observe(device, HOSTILE)).state == "quarantined"
    assert (await side.kept(device)).status == "quarantined"
    assert len(side.noted.responses) == 1
    assert (await side.ordered(), side.noted.rollbacks) == ([], [])
    assert "rollback_not_ordered" in logged.getvalue()


async def _settle(
    side: Side,
    device: Device,
    then: Callable[[Mapping[str, Response]], Awaitable[Sequence[Contribution]]],
    model: str = "",
) -> Mapping[str, Response]:
    """Have one update of a device judged, that says nothing of it."""
    in_force = await side.responder.in_force()
    assert in_force is not None

    async def _judge(kept: Mapping[str, Kept]) -> Mapping[str, Judged | None]:
        pool = in_force.judge.pool("access", "homes", [])
        known = Known(kept[device.id].record, "homes")
        return {device.id: in_force.judge.observation("access", device.id, 0.0, "homes", pool, known, None, NOW)}

    settled = await side.responder.settle(in_force, {device.id: device}, _judge, then, channel="access", model=model)
    return settled.responses
