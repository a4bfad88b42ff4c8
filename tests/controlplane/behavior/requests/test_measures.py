"""Readings are compared with peers' and with a subject's own; what either excuses speaks against nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior.requests.measures import (
    ENOUGH_PEERS,
    MOST_PEERS,
    Centre,
    Lately,
    Measure,
    Usual,
    centres,
    compared,
    learnt,
)

RATE = Measure("rate", spread=0.5, is_amount=True)
SHARE = Measure("share", spread=0.1)
STRICT = Measure("strict", spread=0.1, is_excused=False)

readings = st.floats(-1e5, 1e5)
PEERS = {"share": Centre(0.2, 0.1), "strict": Centre(0.2, 0.1)}


@pytest.mark.parametrize(("reading", "excess"), [(0.2, 0.0), (0.5, 0.0), (0.6, 1.0), (1.2, 7.0), (-5.0, 0.0)])
def test_what_is_beyond_the_tolerance_above_peers_counts(reading: float, excess: float) -> None:
    parts = compared([SHARE], {"share": reading}, {}, PEERS)
    assert sum(part.excess for part in parts) == pytest.approx(excess)


def test_what_is_usual_for_a_subject_does_not_count() -> None:
    usual = {"share": Usual(centre=0.9, spread=0.05, windows=50)}
    assert compared([SHARE], {"share": 1.0}, usual, PEERS) == []
    [part] = compared([SHARE], {"share": 1.4}, usual, PEERS)
    assert (part.expected, part.excess) == (0.9, pytest.approx(2.0))


def test_what_is_usual_for_peers_does_not_count_either() -> None:
    usual = {"share": Usual(centre=0.0, spread=0.01, windows=50)}
    assert compared([SHARE], {"share": 0.4}, usual, PEERS) == []


def test_some_things_are_not_excused_by_habit() -> None:
    usual = {"strict": Usual(centre=0.9, spread=0.05, windows=50)}
    [part] = compared([STRICT], {"strict": 0.9}, usual, PEERS)
    assert part.excess == pytest.approx(4.0)


def test_without_peers_nothing_is_compared() -> None:
    assert compared([SHARE], {"share": 1.0}, {}, {}) == []
    assert centres([SHARE], [{"share": 0.1}] * 3) == {}


def test_an_amount_is_compared_by_its_logarithm_and_shown_as_it_is() -> None:
    peers = centres([RATE], [{"rate": RATE.scaled(value)} for value in (1, 2, 2, 3)])
    [part] = compared([RATE], {"rate": RATE.scaled(200)}, {}, peers)
    assert (part.value, part.expected) == (pytest.approx(200), pytest.approx(2))


@given(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=60), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_is_never_less_of_a_deviation(peers: list[float], one: float, other: float) -> None:
    seen = centres([SHARE], [{"share": value} for value in peers])
    low, high = sorted((one, other))
    excess = [sum(part.excess for part in compared([SHARE], {"share": at}, {}, seen)) for at in (low, high)]
    assert excess[0] <= excess[1]


@given(st.lists(st.floats(0.0, 1.0), min_size=5, max_size=60))
def test_nobody_deviates_from_a_majority_that_it_is_part_of(values: list[float]) -> None:
    seen = centres([SHARE], [{"share": value} for value in values])
    deviating = [value for value in values if compared([SHARE], {"share": value}, {}, seen)]
    assert len(deviating) <= len(values) / 2


@given(st.floats(0.0, 1.0), st.lists(readings, max_size=200))
def test_what_is_usual_stays_within_what_was_seen(first: float, seen: list[float]) -> None:
    usual = Usual(centre=first, spread=0.1)
    for reading in seen:
        usual = usual.after(reading, 0.1)
    assert min([first, *seen]) - 1e-6 <= usual.centre <= max([first, *seen]) + 1e-6
    assert usual.windows == min(100, len(seen))


def test_one_flood_makes_no_habit() -> None:
    usual = Usual(centre=1.0, spread=0.1, windows=50).after(1000.0, 0.5)
    assert usual.centre < 1.05


def test_a_change_becomes_a_habit_in_the_end() -> None:
    usual = Usual(centre=1.0, spread=0.1)
    for _ in range(2000):
        usual = usual.after(5.0, 0.5)
    assert usual.centre == pytest.approx(5.0, abs=0.2)


def test_what_is_learnt_begins_with_what_peers_do() -> None:
    found = learnt([SHARE], {"share": 0.9}, {}, PEERS)
    assert 0.2 < found["share"].centre < 0.25
    assert learnt([SHARE], {"share": 0.9}, {}, {})["share"].centre == 0.9


def test_a_thin_window_is_compared_with_those_before_it_and_a_full_one_is_not() -> None:
    lately = Lately([SHARE])
    assert lately.centres("homes", [{"share": 0.1}] * 2) == {}
    assert lately.centres("homes", [{"share": 0.1}] * 2)["share"].centre == 0.1
    assert lately.centres("offices", [{"share": 0.1}] * 2) == {}
    assert lately.centres("homes", [{"share": 0.9}] * 3)["share"].centre == 0.1
    assert lately.centres("homes", [{"share": 0.9}] * ENOUGH_PEERS)["share"].centre == 0.9


def test_few_classes_and_few_readings_are_remembered() -> None:
    lately = Lately([SHARE], most=4)
    for number in range(20):
        lately.centres(f"segment-{number}", [{"share": 0.1}] * 10 * MOST_PEERS)
    assert len(lately._before) == 4
    assert all(len(kept) <= ENOUGH_PEERS for kept in lately._before.values())
