"""Bets are fair, wealth is a supermartingale by every enumerable measure, and it finds who turns late."""

import random
from itertools import pairwise, product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior import betting
from controlplane.contracts.behaviour import LARGEST_E_VALUE, BehaviourTerms, Wealth
from tests.controlplane.behavior.cohorts import TERMS

levels = st.lists(st.floats(0.001, 0.9), min_size=1, max_size=4, unique=True)
p_values = st.floats(1e-6, 1.0)


def terms(**changes: object) -> BehaviourTerms:
    return TERMS.model_copy(update=changes)


def after(p_values: list[float], by: BehaviourTerms = TERMS) -> list[float]:
    wealth, found = betting.FRESH, []
    for p_value in p_values:
        wealth = betting.after(wealth, p_value, by)
        found.append(betting.value(wealth))
    return found


@given(levels, st.floats(0.01, 0.99))
def test_a_bet_on_a_uniform_p_value_is_fair(found: list[float], stake: float) -> None:
    edges = sorted([0.0, *found, 1.0])
    expected = sum((high - low) * betting.e_value(high, found, stake) for low, high in pairwise(edges))
    assert expected == pytest.approx(1.0)


@given(levels, st.floats(0.01, 0.99), st.integers(1, 400))
def test_a_bet_on_a_p_value_of_so_many_peers_is_expected_to_win_nothing(
    found: list[float], stake: float, peers: int
) -> None:
    ranks = [betting.e_value(rank / (peers + 1), found, stake) for rank in range(1, peers + 2)]
    assert sum(ranks) / len(ranks) <= 1.0 + 1e-9


@given(p_values, p_values, levels, st.floats(0.01, 0.99))
def test_a_smaller_p_value_never_wins_less(one: float, other: float, found: list[float], stake: float) -> None:
    smaller, larger = sorted([one, other])
    assert betting.e_value(smaller, found, stake) >= betting.e_value(larger, found, stake) > 0.0


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_wealth_is_expected_to_stay_at_one_at_most(steps: int) -> None:
    by = terms(levels=[0.1, 0.5], stake=0.7, hazard=0.3)
    outcomes = {0.1: 0.1, 0.5: 0.4, 1.0: 0.5}
    expected = sum(
        prod(outcomes[p_value] for p_value in path) * after(list(path), by)[-1]
        for path in product(outcomes, repeat=steps)
    )
    assert expected == pytest.approx(1.0)


def test_fewer_than_alpha_ever_have_wealth_of_one_over_alpha() -> None:
    by, noise = terms(levels=[0.02, 0.1], horizon=60), random.Random(7)
    alpha, subjects = 0.1, 2000
    peaks = [max(after([noise.random() for _ in range(60)], by)) for _ in range(subjects)]
    assert sum(peak >= 1.0 / alpha for peak in peaks) / subjects <= alpha


@given(st.lists(p_values, max_size=60), st.lists(p_values, min_size=1, max_size=3))
def test_wealth_is_never_negative_and_stays_bounded(past: list[float], more: list[float]) -> None:
    wealth = betting.FRESH
    for p_value in past + more * 30:
        wealth = betting.after(wealth, p_value, TERMS)
        assert 0.0 <= betting.value(wealth) <= LARGEST_E_VALUE
        assert wealth.steps <= TERMS.horizon


def test_who_turns_after_a_long_good_time_is_found_as_fast() -> None:
    at_once, late = after([0.001] * 3), after([1.0] * 30 + [0.001] * 4)
    assert at_once[-1] >= 50.0
    assert late[29] < 1.0
    assert late[-1] >= 50.0


def test_without_anything_unusual_evidence_only_shrinks() -> None:
    found = after([1.0] * 40)
    assert found == sorted(found, reverse=True)


def test_one_unusual_step_convicts_nobody() -> None:
    assert max(after([1e-6])) < 50.0


def test_stake_is_new_after_a_horizon() -> None:
    past = after([1.0] * TERMS.horizon + [1.0])
    assert past[-1] == after([1.0])[0] > past[-2]


def test_evidence_of_all_channels_is_their_weighted_mean() -> None:
    wealth = {"updates": Wealth(active=99.0, waiting=1.0, steps=3)}
    assert betting.combined(wealth, TERMS.weights) == pytest.approx(0.6 * 100.0 + 0.4)  # type: ignore[arg-type]
    assert betting.combined({}, TERMS.weights) == pytest.approx(1.0)
