"""The projection keeps angles: without a bias, and as closely as it says."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.screening import Manifest
from adapters.screening.projection import FOLDED, Projection, fold
from adapters.screening.values import Array, cut, read_all

Update = Mapping[str, Tensor]

SHAPES = {"deep": (96, 128), "deeper": (96, 128), "flat": (70_000,), "narrow": (3000, 8), "small": (5,)}


def of(make: Callable[[tuple[int, ...]], Tensor], seed: int, shapes: Mapping[str, tuple[int, ...]]) -> Update:
    torch.manual_seed(seed)
    return {name: make(shape) for name, shape in shapes.items()}


def sketched(update: Update, seed: int) -> Array:
    manifest = Manifest.of(update)
    pieces = cut(manifest)
    return read_all(update, manifest, pieces, [Projection(manifest, pieces, seed)])[0]


def stated(update: Update, seed: int) -> float:
    manifest = Manifest.of(update)
    projection = Projection(manifest, cut(manifest), seed)
    return float(projection.errors(sketched(update, seed)[None])[0])


def cosine(one: Array, other: Array) -> float:
    first, second = one.astype(np.float64), other.astype(np.float64)
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


def flat(update: Update) -> Array:
    return np.concatenate([update[name].numpy().reshape(-1) for name in sorted(update)])


KINDS: dict[str, Callable[[tuple[int, ...]], Tensor]] = {
    "noise": torch.randn,
    "one direction": lambda shape: torch.ones(shape) + torch.randn(shape),
    "a heavy column": lambda shape: torch.randn(shape) * torch.where(torch.arange(shape[-1]) == 1, 30.0, 1.0),
    "rank one": lambda shape: torch.randn(shape[0], *[1] * (len(shape) - 1)) * torch.randn(shape[-1]).expand(shape),
}


@pytest.mark.parametrize("kind", KINDS)
def test_cosines_are_right_on_average_and_off_by_what_is_stated(kind: str) -> None:
    shapes = {"deep": (400, 300), "wide": (100, 700)}
    one, other = of(KINDS[kind], 1, shapes), of(KINDS[kind], 2, shapes)
    true = cosine(flat(one), flat(other))
    errors = [cosine(sketched(one, seed), sketched(other, seed)) - true for seed in range(60)]
    error = stated(one, 0)
    assert 0.005 < error < 0.03
    # Sixty draws: their mean is within four standard errors, their spread within a half of what is stated for
    # directions at right angles, and smaller for others.
    assert abs(float(np.mean(errors))) < 4 * error / 60**0.5
    assert float(np.std(errors)) < 1.5 * error
    if abs(true) < 0.2:
        assert float(np.std(errors)) > 0.5 * error


def test_lengths_are_right_on_average() -> None:
    update = of(torch.randn, 3, SHAPES)
    true = float(np.linalg.norm(flat(update)))
    found = [float(np.linalg.norm(sketched(update, seed))) / true for seed in range(40)]
    assert float(np.mean(found)) == pytest.approx(1.0, abs=0.01)


def test_an_update_with_few_values_loses_nothing() -> None:
    shapes = {"weight": (30, 40), "bias": (30,), "scale": ()}
    one, other = of(torch.randn, 1, shapes), of(torch.randn, 2, shapes)
    assert stated(one, 0) == 0.0
    assert cosine(sketched(one, 5), sketched(other, 5)) == pytest.approx(cosine(flat(one), flat(other)), abs=1e-6)
    assert sorted(np.abs(sketched(one, 5))) == pytest.approx(sorted(np.abs(flat(one))))


def test_what_is_in_few_values_is_told_less_closely_and_it_says_so() -> None:
    spread, lumped = of(torch.randn, 1, SHAPES), of(torch.zeros, 1, SHAPES)
    lumped["narrow"][:] = torch.randn(3000, 8)
    assert stated(lumped, 0) > 1.5 * stated(spread, 0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**62), factor=st.floats(-8.0, 8.0))
def test_a_sketch_is_linear_so_mixtures_of_updates_are_those_of_sketches(seed: int, factor: float) -> None:
    one, other = of(torch.randn, 1, SHAPES), of(torch.randn, 2, SHAPES)
    mixed = {name: one[name] + factor * other[name] for name in one}
    assert sketched(mixed, seed) == pytest.approx(sketched(one, seed) + factor * sketched(other, seed), abs=1e-3)


def test_another_seed_is_another_projection_and_the_same_one_is_not() -> None:
    update = of(torch.randn, 1, SHAPES)
    assert np.array_equal(sketched(update, 7), sketched(update, 7))
    assert abs(cosine(sketched(update, 7), sketched(update, 8)[: len(sketched(update, 7))])) < 0.1


def test_each_tensor_has_buckets_of_its_own() -> None:
    update = of(torch.randn, 1, SHAPES)
    manifest = Manifest.of(update)
    pieces = cut(manifest)
    projection = Projection(manifest, pieces, 0)
    for place, name in enumerate(manifest.tensors):
        alone = {other: tensor if other == name else torch.zeros_like(tensor) for other, tensor in update.items()}
        (sketch,) = read_all(alone, manifest, pieces, [projection])
        own = projection.spans[place]
        assert np.count_nonzero(sketch[own]) > 0
        assert np.count_nonzero(sketch) == np.count_nonzero(sketch[own])


def test_a_tensor_without_values_has_no_buckets() -> None:
    update = {"a": torch.randn(50), "none": torch.zeros(0, 3), "z": torch.randn(7)}
    assert len(sketched(update, 0)) == 57


def test_what_is_remembered_is_shorter_and_keeps_angles_too() -> None:
    shapes = {"w": (300, 200)}
    one, other = of(KINDS["one direction"], 1, shapes), of(KINDS["one direction"], 2, shapes)
    true = cosine(flat(one), flat(other))
    pairs = [fold(np.stack([sketched(one, seed), sketched(other, seed)])) for seed in range(40)]
    assert {pair.shape for pair in pairs} == {(2, FOLDED)}
    errors = [cosine(*pair) - true for pair in pairs]
    assert abs(float(np.mean(errors))) < 0.02
    assert float(np.std(errors)) < 1.5 / FOLDED**0.5
