"""What is judged is decided on and kept, once, whoever else writes at the same time; on a real store."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from controlplane.behavior import Judge, Judged, Known
from controlplane.contracts.behaviour import BehaviourState, BehaviourTerms
from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.identity import Device, Trust
from controlplane.contracts.observed import Kept, Observed
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import Round
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.responding import ATTEMPTS, Contended, Observation, Responder
from controlplane.decisions.responses import Response
from controlplane.identity.registry import Registry
from controlplane.storage import Store, StoreUnavailable, open_store
from tests.clocks import Clock
from tests.controlplane import behaving
from tests.controlplane.behaving import NOW, TERMS, attribution, observed, record

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
    """Takes down what is counted and ordered."""

    def __init__(self) -> None:
        self.responses: list[Response] = []
        self.orders: list[tuple[str, str, int, str]] = []

    def responded(self, response: Response) -> None:
        self.responses.append(response)

    async def order(self, subject: str, model: str, rounds: int, decision_id: str) -> None:
        self.orders.append((subject, model, rounds, decision_id))


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
            self.noted,
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


def _round(name: str, model: str) -> Round:
    return Round(
        id=name,
        model=model,
        model_digest=f"sha256:{'a' * 64}",
        members=["dev-a"],
        opened_by="agg-1",
        opens_at=NOW,
        closes_at=NOW + 60,
        state="open",
    )


async def _contribute(side: Side, device: Device, models: Sequence[str]) -> None:
    given = []
    for number, model in enumerate(models):
        await side.store.rounds.add(_round(f"r{number}", model))
        given.append(
            Contribution(
                round_id=f"r{number}", subject=device.id, update_digest=f"sha256:{'e' * 64}", decision_id="d", time=NOW
            )
        )
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
    states = [(await side.observe(device, HOSTILE)).state for _ in range(6)]
    assert states[0] == "watched"
    assert states[-1] == "quarantined"
    assert (await side.kept(device)).status == "quarantined"
    decision = next(one for one in side.noted.responses if one.state == "quarantined").decision
    assert decision is not None
    decided = decision.id
    assert side.noted.orders == [(device.id, "m0", 20, decided), (device.id, "m1", 20, decided)]


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

    responses = await side.responder.settle(in_force, pair, _judge, _then, channel="access")
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
    assert side.noted.orders == []


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


async def test_when_the_store_is_down_nothing_is_counted_or_ordered(side: Side, device: Device) -> None:
    async def _down() -> None:
        await side.store.close()

    side.decider.before = _down
    with pytest.raises(StoreUnavailable):
        await side.observe(device, HOSTILE)
    assert side.noted.responses == []


async def test_of_a_report_that_is_not_kept_no_order_is_given(
    side: Side, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _contribute(side, device, ["m1"])

    async def _refused(_given: Sequence[Observed], *_: object) -> frozenset[str]:
        return frozenset({device.id})

    monkeypatch.setattr(side.responder._registry, "record_behaviour", _refused)
    with pytest.raises(Contended):
        await side.observe(device, HOSTILE)
    assert side.noted.orders == []
