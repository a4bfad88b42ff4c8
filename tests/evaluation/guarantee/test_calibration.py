"""Quantiles stand for the distribution that they come from, on the safe side."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.behavior.conformal import Pool
from controlplane.contracts.behaviour import BehaviourTerms
from evaluation.guarantee import calibration, scenarios
from tests.controlplane.behavior.cohorts import TERMS

SHIPPED = Path(__file__).resolve().parents[3] / "policies" / "data" / "behaviour" / "data.json"
scores = st.lists(st.floats(0.0, 50.0), min_size=1, max_size=200)


@given(scores, st.integers(1, 50), st.floats(0.0, 60.0))
def test_a_p_value_from_quantiles_is_no_smaller_than_the_share_that_reaches_it(
    found: list[float], count: int, own: float
) -> None:
    share = sum(score >= own for score in found) / len(found)
    p_value = Pool(calibration.quantiles(found, count)).p_value("own", own, 1.0)
    assert p_value >= share - 1e-9


@given(scores, st.integers(1, 50))
def test_quantiles_are_ascending_and_as_many_as_asked_for(found: list[float], count: int) -> None:
    quantiles = calibration.quantiles(found, count)
    assert quantiles == sorted(quantiles)
    assert len(quantiles) == count


def test_each_class_of_skew_has_its_own_and_all_have_one_together() -> None:
    found = [(1.0, 0.5), (1.0, 0.79), (5.0, 0.8), (5.0, 1.0)]
    classes = calibration.calibrated(found, TERMS)
    assert set(classes) == {"any", "skew0", "skew1"}
    assert (set(classes["skew0"]), set(classes["skew1"]), set(classes["any"])) == ({1.0}, {5.0}, {1.0, 5.0})


def test_what_is_written_is_what_was_measured() -> None:
    document = {**TERMS.model_dump(), "calibration": {"any": [0.0] * 300 + [0.125, 1.5], "access": [2.0]}}
    text = calibration.written(document)
    assert json.loads(text) == document
    assert max(map(len, text.splitlines())) <= 120


def test_the_promise_is_not_tested_on_what_was_calibrated_on() -> None:
    measured = {one.seed for scenario in scenarios.scenarios(50, 200) for one in scenario.each()}
    assert measured.isdisjoint(one.seed for one in calibration.federations(50, 200))


def test_what_is_shipped_is_calibrated_for_every_class() -> None:
    terms = BehaviourTerms.model_validate_json(SHIPPED.read_bytes())
    assert {"any", *(f"skew{number}" for number in range(len(terms.skew) + 1))} <= set(terms.calibration)
    assert all(found == sorted(found) for found in terms.calibration.values())
    assert len(terms.calibration["any"]) == calibration.QUANTILES


@pytest.mark.parametrize("name", ["any", "skew0", "skew1"])
def test_the_smallest_p_value_pays_at_every_level(name: str) -> None:
    terms = BehaviourTerms.model_validate_json(SHIPPED.read_bytes())
    least = Pool(terms.calibration[name]).p_value("own", 1e6, terms.heterogeneity)
    assert least <= min(terms.levels)
