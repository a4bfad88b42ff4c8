"""Lengths are exact, and concentration says in how few rows an update is."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.screening import Manifest
from adapters.screening.energy import Energies, exactly
from adapters.screening.values import Doubles, cut, read_together

shapes = st.one_of(
    st.sampled_from(
        [(), (0,), (0, 4), (4, 0), (1,), (1, 300), (70_000,), (2, 70_000), (9, 1), (40, 64), (40, 3, 5, 5)]
    ),
    st.tuples(st.integers(1, 50), st.integers(1, 100)),
)


def measured(update: dict[str, Tensor]) -> tuple[Doubles, float | None]:
    manifest = Manifest.of(update)
    pieces = cut(manifest)
    energies = Energies(pieces, len(manifest.tensors))
    return energies.summed(read_together([update], manifest, pieces, [energies])[0])[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(shapes, min_size=1, max_size=4), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_squared_lengths_are_those_that_float64_gives(given_shapes: list[tuple[int, ...]], dtype: torch.dtype) -> None:
    torch.manual_seed(len(given_shapes))
    update = {f"t{number}": torch.randn(shape).to(dtype) for number, shape in enumerate(given_shapes)}
    totals, concentration = measured(update)
    wanted = [float(update[name].double().square().sum()) for name in sorted(update)]
    assert totals.tolist() == pytest.approx(wanted, rel=1e-5)
    assert exactly(update, sorted(update))[0].tolist() == pytest.approx(wanted)
    assert concentration is None or 0.0 <= concentration <= 1.0


@pytest.mark.parametrize("columns", [5, 64, 300])
def test_rows_that_are_all_alike_are_not_concentrated_and_a_single_one_is(columns: int) -> None:
    alike, single = torch.ones(200, columns), torch.zeros(200, columns)
    single[17] = 3.0
    assert measured({"w": alike})[1] == pytest.approx(0.0, abs=1e-6)
    assert measured({"w": single})[1] == pytest.approx(1.0 - 1.0 / 200)


def test_half_of_the_rows_are_half_concentrated() -> None:
    half = torch.cat([torch.ones(100, 70), torch.zeros(100, 70)])
    assert measured({"w": half})[1] == pytest.approx(0.5)


def test_the_tensor_that_holds_most_says_most() -> None:
    single = torch.zeros(100, 80)
    single[3] = 1.0
    update = {"alike": 10 * torch.ones(100, 80), "single": single}
    assert measured(update)[1] == pytest.approx(0.99 * 80 / (80 + 100 * 100 * 80), abs=1e-4)


def test_without_rows_there_is_no_concentration() -> None:
    assert measured({"bias": torch.randn(500), "scale": torch.tensor(2.0)})[1] is None


def test_a_tensor_of_many_pieces_is_measured_whole() -> None:
    tall = torch.zeros(3000, 100)
    tall[2999] = 1.0
    totals, concentration = measured({"w": tall})
    assert totals.tolist() == pytest.approx([100.0])
    assert concentration == pytest.approx(1.0 - 1.0 / 3000)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_counted(bad: float) -> None:
    update = {"a": torch.tensor([1.0, bad, 2.0]), "b": torch.full((2, 2), bad)}
    assert exactly(update, ["a", "b"])[1] == 5
    assert not np.isfinite(measured(update)[0].sum())
