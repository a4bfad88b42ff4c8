"""Each assumption is broken by itself."""

from evaluation.guarantee.scenarios import all_alike, other_skew, scenarios, shipped
from tests.controlplane.behavior.cohorts import TERMS


def test_terms_as_shipped_are_as_they_are() -> None:
    assert shipped(TERMS) is TERMS


def test_homes_that_are_taken_to_be_alike_change_nothing_else() -> None:
    assert all_alike(TERMS) == TERMS.model_copy(update={"heterogeneity": 1.0})


def test_classes_of_skew_swap_their_calibrations_and_any_stays() -> None:
    own = TERMS.model_copy(update={"calibration": {"any": [0.0], "skew0": [1.0], "skew1": [2.0], "access": [3.0]}})
    assert other_skew(own).calibration == {"any": [0.0], "skew0": [2.0], "skew1": [1.0], "access": [3.0]}


def test_the_promise_is_tested_on_a_thousand_homes_of_either_skew() -> None:
    low, high, *broken = scenarios(50, 200)
    assert [one.federations * one.federation.homes for one in (low, high)] == [1000, 1000]
    assert low.federation.alpha > high.federation.alpha
    assert len({one.name for one in (low, high, *broken)}) == len(broken) + 2
    assert all(one.federations == 10 for one in broken)


def test_no_two_federations_of_a_scenario_have_a_seed_in_common() -> None:
    for scenario in scenarios(5, 10):
        seeds = [one.seed for one in scenario.each()]
        assert len(set(seeds)) == len(seeds)
