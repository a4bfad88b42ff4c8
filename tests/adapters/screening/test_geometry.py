"""How updates stand to one another: robust, and never measured against themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.screening.geometry import Geometry, segment_cosines
from adapters.screening.values import Array


def noise(count: int, width: int = 400, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


def geometry(sketches: Array) -> Geometry:
    return Geometry.of(sketches, np.linalg.norm(sketches.astype(np.float64), axis=1))


def centre_cosines(sketches: Array) -> Array:
    centres = geometry(sketches).centres().T @ sketches
    return segment_cosines(sketches, centres, [slice(0, sketches.shape[1])])[1].astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 12), seed=st.integers(0, 1000))
def test_no_update_is_in_its_own_centre_and_the_others_share_it(count: int, seed: int) -> None:
    found = geometry(noise(count, seed=seed))
    mixture = found.centres() * found.lengths[:, None] / found.bounded[:, None]
    assert np.count_nonzero(mixture.diagonal()) == 0
    assert mixture.sum(axis=0).tolist() == pytest.approx([1.0] * count, abs=1e-4)


def test_an_update_alone_has_no_centre_no_twin_and_no_place() -> None:
    found = geometry(noise(1))
    assert not found.centres().any()
    assert (found.twins(), found.centralities(), found.residuals()) == ([None], [None], [None])


@settings(max_examples=30, deadline=None)
@given(count=st.integers(2, 10), seed=st.integers(0, 1000))
def test_twins_and_centrality_are_the_highest_and_the_mean_cosine(count: int, seed: int) -> None:
    sketches = noise(count, 50, seed)
    unit = sketches / np.linalg.norm(sketches, axis=1, keepdims=True)
    cosines = unit @ unit.T
    others = [[cosines[i, j] for j in range(count) if j != i] for i in range(count)]
    found = geometry(sketches)
    assert found.twins() == pytest.approx([max(row) for row in others], abs=1e-5)
    assert found.centralities() == pytest.approx([sum(row) / len(row) for row in others], abs=1e-5)


def test_a_length_buys_no_weight() -> None:
    honest = 1.0 + 0.5 * noise(9)
    large = np.concatenate([honest, -1e6 * np.ones((1, 400), dtype=np.float32)])
    assert centre_cosines(large)[:9].min() > 0.5
    assert centre_cosines(large)[9] < -0.9


def test_copies_have_one_voice_together() -> None:
    honest, copies = 1.0 + 0.5 * noise(9), np.repeat(-1.0 - 0.5 * noise(1, seed=5), 12, axis=0)
    found = geometry(np.concatenate([honest, copies]))
    assert found.duplicates() == [0] * 9 + [11] * 12
    assert centre_cosines(np.concatenate([honest, copies]))[:9].min() > 0.5


def test_a_minority_that_agrees_does_not_move_the_centre_far() -> None:
    honest, colluding = 1.0 + 2.0 * noise(14, 4000), -1.0 + 2.0 * noise(6, 4000, seed=9)
    found = centre_cosines(np.concatenate([honest, colluding]))
    assert found[:14].min() > 0.1
    assert found[14:].max() < -0.1


def test_what_lies_outside_of_the_leading_directions_is_residual() -> None:
    directions = noise(2, 2000, seed=3)
    mixed = noise(20, 2, seed=4) @ directions + 0.1 * noise(20, 2000, seed=5)
    apart = 1.4 * noise(1, 2000, seed=6)
    found = geometry(np.concatenate([mixed, apart])).residuals()
    assert max(share for share in found[:20] if share is not None) < 0.3
    assert found[20] is not None
    assert found[20] > 0.9


def test_one_large_update_does_not_own_the_leading_directions() -> None:
    directions = noise(2, 2000, seed=3)
    mixed = noise(20, 2, seed=4) @ directions + 0.1 * noise(20, 2000, seed=5)
    huge = geometry(np.concatenate([mixed, 1e5 * noise(1, 2000, seed=6)])).residuals()
    assert huge[20] is not None
    assert huge[20] > 0.9
    assert max(share for share in huge[:20] if share is not None) < 0.3


def test_four_updates_have_no_leading_directions() -> None:
    assert geometry(noise(4)).residuals() == [None] * 4
    assert None not in geometry(noise(5)).residuals()


def test_copies_of_one_update_explain_one_another() -> None:
    found = geometry(np.repeat(noise(1), 6, axis=0))
    assert found.duplicates() == [5] * 6
    assert found.twins() == pytest.approx([1.0] * 6)
    assert centre_cosines(np.repeat(noise(1), 6, axis=0)).tolist() == pytest.approx([1.0] * 6, abs=1e-5)


def test_cosines_are_told_by_stretch_and_unknown_without_a_length() -> None:
    one = np.array([[1.0, 0.0, 3.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0, 2.0]], dtype=np.float32)
    other = np.array([[1.0, 1.0, 6.0, 8.0, 0.0]], dtype=np.float32)
    spans = [slice(0, 2), slice(2, 2), slice(2, 4), slice(4, 5)]
    by_stretch, whole = segment_cosines(one, other, spans)
    assert by_stretch[0, [0, 2]].tolist() == pytest.approx([2**-0.5, 1.0])
    assert np.isnan(by_stretch[:, [1, 3]]).all()
    assert np.isnan(by_stretch[1]).all()
    assert whole.tolist() == pytest.approx([51 / (26 * 102) ** 0.5, 0.0])
