"""Trust is a lower bound that few observations cannot lift and a good time restores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior.trust import counted, lower_bound
from tests.controlplane.behavior.cohorts import TERMS

FULL, TAKES_PART = 0.7, 0.5
counts = st.floats(0.0, 1e6)


def trust(p_values: list[float], conforming: float = TERMS.newcomer, deviating: float = 0.0) -> float:
    for p_value in p_values:
        conforming, deviating = counted(conforming, deviating, p_value, TERMS)
    return lower_bound(conforming, deviating, TERMS.confidence)


@given(counts, counts, st.floats(0.01, 6.0))
def test_trust_is_a_share_below_the_observed_one(conforming: float, deviating: float, quantile: float) -> None:
    bound = lower_bound(conforming, deviating, quantile)
    assert 0.0 <= bound <= 1.0
    if conforming + deviating > 0.0:
        assert bound <= conforming / (conforming + deviating) + 1e-9


@given(counts, counts, st.floats(0.1, 100.0))
def test_what_conforms_earns_and_what_deviates_costs(conforming: float, deviating: float, more: float) -> None:
    before = lower_bound(conforming, deviating, 1.645)
    assert lower_bound(conforming + more, deviating, 1.645) >= before - 1e-9
    assert lower_bound(conforming, deviating + more, 1.645) <= before + 1e-9


def test_the_bound_is_wilsons() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263.
    assert lower_bound(81, 182, 1.959964) == pytest.approx(0.2553, abs=5e-5)
    assert 1 - lower_bound(182, 81, 1.959964) == pytest.approx(0.3662, abs=5e-5)


def test_nothing_observed_is_no_trust() -> None:
    assert lower_bound(0.0, 0.0, 1.645) == 0.0


def test_a_newcomer_takes_part_and_is_watched() -> None:
    assert trust([]) == pytest.approx(0.6, abs=0.001)


def test_a_newcomer_is_trusted_after_two_to_four_clean_rounds() -> None:
    assert trust([1.0]) < FULL
    assert trust([1.0] * 4) >= FULL


def test_one_deviation_costs_a_newcomer_its_part_and_an_old_hand_little() -> None:
    assert trust([0.01]) < TAKES_PART
    assert trust([1.0] * 30 + [0.01]) >= FULL


def test_two_deviations_put_an_old_hand_under_watch() -> None:
    assert TAKES_PART <= trust([1.0] * 50 + [0.01] * 2) < FULL
    assert trust([1.0] * 50 + [0.01] * 5) < TAKES_PART


def test_a_good_time_restores_trust() -> None:
    assert trust([0.01] * 10) < 0.2
    assert trust([0.01] * 10 + [1.0] * 60) >= FULL


def test_an_observation_deviates_at_the_largest_level_and_below() -> None:
    assert counted(1.0, 0.0, 0.05, TERMS)[1] == 1.0
    assert counted(1.0, 0.0, 0.051, TERMS)[1] == 0.0
