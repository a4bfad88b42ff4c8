"""What is familiar: a change is a surprise once, and what is remembered never grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior.requests.familiar import (
    HOURS,
    NETWORKS,
    Hours,
    Networks,
    Pairs,
    hour_of_week,
    network_of,
    pair_of,
)
from tests.controlplane.behavior.requests.traffic import MONDAY

HOUR = 3600.0
pairs = st.lists(st.integers(0, 2**64 - 1), max_size=40)


@given(pairs)
def test_what_was_met_is_familiar(found: list[int]) -> None:
    kept = Pairs()
    for pair in found:
        kept = kept.with_(frozenset([pair]))
        assert kept.holds(pair)


def test_what_was_never_met_is_seldom_taken_for_familiar() -> None:
    kept = Pairs()
    for number in range(5000):
        kept = kept.with_(frozenset([pair_of("inference", f"model-{number}")]))
    unmet = [pair_of("inference", f"other-{number}") for number in range(2000)]
    assert sum(map(kept.holds, unmet)) < 2000 / 10
    assert kept.holds(pair_of("inference", "model-4999"))
    assert not Pairs().holds(unmet[0])


def test_a_number_that_stands_for_many_is_never_familiar() -> None:
    assert not Pairs().with_(frozenset([-1])).holds(-1)
    assert Pairs().with_(frozenset([-1])) == Pairs()


def test_a_network_is_half_as_surprising_after_one_window() -> None:
    kept, home = Networks(), network_of("10.20.1.2")
    surprises = []
    for _ in range(4):
        surprises.append(kept.surprise(home))
        kept = kept.with_(frozenset([home]))
    assert surprises == [1.0, 1 / 2, 1 / 3, 1 / 4]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("10.20.1.2", "10.20.1.99", True),
        ("10.20.1.2", "10.20.2.2", False),
        ("2001:db8:1:2::3", "2001:db8:1:ffff::9", True),
        ("2001:db8:1::", "2001:db8:2::", False),
        ("nonsense", "", True),
        ("nonsense", "10.20.1.2", False),
    ],
)
def test_neighbours_share_a_network(one: str, other: str, is_same: bool) -> None:
    assert (network_of(one) == network_of(other)) is is_same


@given(st.lists(st.lists(st.integers(0, 60), max_size=20), max_size=40))
def test_few_networks_are_remembered_the_latest(windows: list[list[int]]) -> None:
    kept = Networks()
    for window in windows:
        kept = kept.with_(frozenset(f"{number:08x}" for number in window))
        assert len(kept.windows) <= NETWORKS
        if 0 < len(set(window)) <= NETWORKS:
            assert {f"{number:08x}" for number in window} <= kept.windows.keys()


def met(hours: range, days: int) -> Hours:
    kept = Hours()
    for day in range(days):
        for hour in hours:
            kept = kept.with_(MONDAY + day * 86_400.0 + hour * HOUR)
    return kept


def test_an_hour_of_the_day_becomes_usual_within_three_days() -> None:
    kept = met(range(8, 22), 3)
    later = MONDAY + 4 * 86_400.0
    assert [hour for hour in range(24) if kept.surprise(later + hour * HOUR) > 0.5] == [0, 1, 2, 3, 4, 5, 6, 7, 22, 23]


def test_an_odd_hour_stays_odd_until_it_is_over_and_is_usual_the_next_day() -> None:
    kept, night = met(range(8, 22), 3), MONDAY + 3 * 86_400.0 + 3 * HOUR
    for minute in range(60):
        assert kept.surprise(night + minute * 60.0) == 1.0
        kept = kept.with_(night + minute * 60.0)
    assert kept.with_(night + HOUR).surprise(night + HOUR) < 1.0
    assert kept.with_(night + HOUR).surprise(night + 86_400.0) < 1.0


def test_nothing_is_odd_for_whom_nothing_is_known() -> None:
    assert Hours().surprise(MONDAY) == 0.0


def test_an_hour_counts_once_however_much_was_asked_in_it() -> None:
    kept = Hours()
    for minute in range(120):
        kept = kept.with_(MONDAY + minute * 60.0)
    assert kept.total == 1


@given(st.lists(st.floats(0.0, 4e9), max_size=300))
def test_hours_never_outgrow_their_bound(times: list[float]) -> None:
    kept = Hours()
    for time in sorted(times):
        kept = kept.with_(time)
        assert 0.0 <= kept.surprise(time) <= 1.0
    assert kept.total <= 1344
    assert len(kept.met) == HOURS


def test_the_week_begins_on_monday() -> None:
    assert hour_of_week(MONDAY) == 0
    assert hour_of_week(MONDAY + 167 * HOUR) == 167
    assert hour_of_week(MONDAY + 168 * HOUR) == 0


def test_what_is_long_gone_counts_less_and_less() -> None:
    kept = met(range(24), 70)
    assert kept.total <= 1344
