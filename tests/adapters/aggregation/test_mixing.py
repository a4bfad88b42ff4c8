"""Weights of robust mixtures, against formulas that are as plain as they are slow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.aggregation.mixing import geometric_median, neighbour_mixing, settled, tolerated
from adapters.screening.values import Doubles


def points(count: int, seed: int, width: int = 6) -> Doubles:
    return np.random.default_rng(seed).standard_normal((count, width))


def total_distance(found: Doubles, where: Doubles) -> float:
    return float(np.linalg.norm(found - where, axis=1).sum())


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 15), seed=st.integers(0, 10_000))
def test_no_point_near_the_geometric_median_has_a_smaller_sum_of_distances(count: int, seed: int) -> None:
    found = points(count, seed)
    weights = geometric_median(found @ found.T)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0.0).all()
    best = total_distance(found, weights @ found)
    for step in points(20, seed + 1):
        assert best <= total_distance(found, weights @ found + 0.1 * step) + 1e-3


@settings(max_examples=60, deadline=None)
@given(count=st.integers(3, 12), seed=st.integers(0, 10_000), data=st.data())
def test_each_is_mixed_with_the_nearest_as_sorting_by_distance_finds_them(
    count: int, seed: int, data: st.DataObject
) -> None:
    hostile = data.draw(st.integers(0, (count - 1) // 2))
    found = points(count, seed)
    mixed = neighbour_mixing(found @ found.T, hostile) @ found
    for own, mixture in zip(found, mixed, strict=True):
        nearest = sorted(found, key=lambda other: float(((other - own) ** 2).sum()))[: count - hostile]
        assert mixture == pytest.approx(np.mean(nearest, axis=0))


def test_a_minority_moves_the_geometric_median_only_so_far() -> None:
    honest = points(8, 0) * 0.1 + 1.0
    for far in (1e2, 1e4, 1e8):
        found = np.concatenate([honest, -far * np.ones((3, 6))])
        median = geometric_median(found @ found.T) @ found
        assert np.linalg.norm(median - 1.0) < 1.0


def test_copies_and_zeros_have_a_median() -> None:
    for found in (np.zeros((4, 3)), np.ones((4, 3)), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])):
        weights = geometric_median(found @ found.T)
        assert weights.sum() == pytest.approx(1.0)
        assert weights @ found == pytest.approx(found[0], abs=1e-4)


@given(st.integers(1, 10_000))
def test_those_that_may_be_hostile_are_always_a_minority(count: int) -> None:
    assert 2 * tolerated(count) < count
    assert tolerated(count) >= 1 or count < 3


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20).filter(lambda found: sum(found) > 0.1))
def test_settled_weights_are_what_they_were_and_add_up_to_one(values: list[float]) -> None:
    weights = np.array(values) / sum(values)
    assert settled(weights) == pytest.approx(weights, abs=1e-8)
    assert settled(weights).sum() == pytest.approx(1.0)


@given(st.lists(st.integers(0, 2**25), min_size=1, max_size=20), st.floats(-1e-13, 1e-13))
def test_what_differs_in_the_last_bits_settles_alike(counts: list[int], rounding: float) -> None:
    weights = np.array([*counts, 2**30 - sum(counts)]) / 2**30
    assert np.array_equal(settled(weights + rounding), weights)
