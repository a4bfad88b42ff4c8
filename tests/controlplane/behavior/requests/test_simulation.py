"""Simulations of whole fleets: honest traffic is left alone, and each attack is set apart within some windows."""

import copy
import math
import random

import pytest

from controlplane.behavior.requests import (
    AccessScores,
    InferenceScores,
    Observation,
    Reported,
    RequestProfile,
    UseProfile,
)
from controlplane.contracts.signals import InferenceSignals
from tests.controlplane.behavior.requests.traffic import (
    MONDAY,
    WINDOW,
    Bench,
    Household,
    fleet,
    poisson,
    requests,
)

DAY = 24 * 60


@pytest.mark.parametrize(("seed", "spread", "bursts"), [(1, 0.3, False), (2, 1.2, False), (3, 0.8, True)])
def test_honest_devices_with_a_daily_rhythm_are_left_alone(seed: int, spread: float, bursts: bool) -> None:
    bench = requests(fleet(10, seed, spread=spread, bursts=bursts), DAY)
    assert bench.apart == {}
    assert bench.remarkable < 20


Settled = tuple[list[Household], dict[str, RequestProfile], AccessScores, Bench]


@pytest.fixture(scope="module")
def two_days() -> Settled:
    """A fleet that was honest for two days, less what is to come: it ends before midnight."""
    homes, profiles, scores = fleet(10, 2), dict[str, RequestProfile](), AccessScores()
    bench = requests(homes, 2 * DAY, profiles=profiles, scores=scores)
    assert bench.apart == {}
    return homes, profiles, scores, bench


@pytest.fixture
def settled(two_days: Settled) -> Settled:
    return copy.deepcopy(two_days)


def flood(now: float) -> list[Observation]:
    return [Observation(now + 1.0, "home-3", "homes", "inference", "model-a", "10.20.0.7", True)] * 400


def test_a_device_that_asks_two_hundred_times_as_much_is_set_apart_for_overuse(settled: Settled) -> None:
    homes, profiles, scores, bench = settled
    noon = MONDAY + (2 * DAY + 12 * 60) * WINDOW
    requests(homes, 15, begin=noon, attack=flood, bench=bench, profiles=profiles, scores=scores)
    assert {name: attack for name, (_, attack) in bench.apart.items()} == {"home-3": "overuse"}


def from_elsewhere(now: float, chance: random.Random, *, explores: bool) -> list[Observation]:
    """Requests as home-4, from another network: for what was never asked for, or for what is asked for every day."""
    usual = Observation(now + 1.0, "home-4", "homes", "inference", "model-a", "203.0.113.9", True)
    if not explores:
        return [usual] * 3
    return [
        usual._replace(action="model_access", resource=f"model-{chance.randrange(10**6)}", allowed=False)
        for _ in range(3)
    ]


@pytest.mark.parametrize("explores", [True, False])
def test_who_looks_around_at_night_from_elsewhere_is_a_thief_and_who_uses_what_it_uses_is_a_traveller(
    settled: Settled, explores: bool
) -> None:
    homes, profiles, scores, bench = settled
    chance, night = random.Random(1), MONDAY + (2 * DAY + 3 * 60) * WINDOW

    def asks(now: float) -> list[Observation]:
        return from_elsewhere(now, chance, explores=explores)

    requests(homes, 20, begin=night, attack=asks, bench=bench, profiles=profiles, scores=scores)
    found = {name: attack for name, (_, attack) in bench.apart.items()}
    assert found == ({"home-4": "stolen_identity"} if explores else {})


def reported(name: str, chance: random.Random, pace: float, started_at: float) -> InferenceSignals | None:
    """What a gateway reports of an honest household's minute: few wishes, often the same ones; seldom an odd word."""
    queries = poisson(chance, pace * (6.0 if chance.random() < 0.01 else 1.0))
    if not queries:
        return None
    repeated = sum(chance.random() < 0.5 for _ in range(queries))
    near = sum(chance.random() < 0.4 for _ in range(queries - repeated))
    return InferenceSignals(
        subject=name,
        model="intents",
        started_at=started_at,
        seconds=WINDOW,
        queries=queries,
        prompt_tokens=8 * queries,
        answer_tokens=5 * queries,
        distinct=queries - repeated,
        coverage=min(1.0, 0.02 + 0.01 * chance.random() * pace),
        repeated=repeated / queries,
        near_duplicates=near / queries,
        crowding=near / queries * 0.1 * chance.random(),
        injections=sum(chance.random() < 0.002 for _ in range(queries)),
    )


@pytest.mark.parametrize("seed", range(3))
def test_honest_inferences_of_households_with_paces_of_their_own_are_left_alone(seed: int) -> None:
    chance = random.Random(seed)
    paces = {f"home-{number}": math.exp(chance.gauss(math.log(4.0), 0.8)) for number in range(12)}
    bench, scores, profiles = Bench("inference"), InferenceScores(), dict[str, UseProfile]()
    for minute in range(600):
        now = MONDAY + minute * WINDOW
        windows = [one for name, pace in paces.items() if (one := reported(name, chance, pace, now)) is not None]
        known = [Reported(one, "homes", profiles.get(one.subject) or UseProfile()) for one in windows]
        found = scores.score("dev-gateway", known)
        profiles |= {one.subject: profile for one, (_, profile) in zip(windows, found, strict=True)}
        bench.observe(((one.subject, scored) for one, (scored, _) in zip(windows, found, strict=True)), now)
    assert bench.apart == {}
