"""What is read from a sample: signs and spectra."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.screening import Manifest
from adapters.screening.sample import SAMPLED, Sample, low_frequencies, sign_agreements, sign_balances
from adapters.screening.values import Array, cut, read_all


def sampled(update: dict[str, Tensor], seed: int = 0) -> Array:
    manifest = Manifest.of(update)
    pieces = cut(manifest)
    return read_all(update, manifest, pieces, [Sample(pieces, seed)])[0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([(), (0,), (3,), (17, 5), (40, 40)]), min_size=1, max_size=4))
def test_a_small_update_is_sampled_whole(shapes: list[tuple[int, ...]]) -> None:
    update = {f"t{number}": torch.randn(shape) for number, shape in enumerate(shapes)}
    whole = np.concatenate([np.zeros(0), *[tensor.numpy().reshape(-1) for tensor in update.values()]])
    found = sampled(update)
    assert sorted(found[found != 0]) == pytest.approx(sorted(whole[whole != 0]))


def test_of_a_large_update_a_fixed_number_of_values_is_looked_at() -> None:
    numbers = torch.arange(1.0, 300_001.0)
    found = sampled({"a": numbers[:200_000].reshape(400, 500), "b": numbers[200_000:]})
    assert len(found) == len(set(found.tolist())) == SAMPLED
    assert 0.5 < np.count_nonzero(found <= 200_000) / SAMPLED < 0.8


def test_which_ones_is_a_secret() -> None:
    update = {"a": torch.arange(300_000.0)}
    assert np.array_equal(sampled(update, 3), sampled(update, 3))
    assert len(set(sampled(update, 3).tolist()) & set(sampled(update, 4).tolist())) < SAMPLED / 4


def test_signs_are_shares_of_what_is_not_zero() -> None:
    samples = np.array([[1.0, -2.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    aims = np.array([[1.0, 1.0, 0.0, 0.0]], dtype=np.float32)
    assert sign_balances(samples) == [pytest.approx(2 / 3), None]
    assert sign_agreements(samples, aims) == [0.5, 0.0]
    assert sign_agreements(samples, np.zeros_like(samples)) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("values", "share"),
    [
        (torch.ones(4096), 1.0),
        (torch.ones(4096) * torch.tensor([1.0, -1.0]).repeat(2048), 0.0),
        (torch.cat([torch.ones(16), -torch.ones(16)]).repeat(128), 1.0),
        (torch.cat([torch.ones(8), -torch.ones(8)]).repeat(256), 0.0),
    ],
    ids=["constant", "alternating", "slow", "fast"],
)
def test_what_changes_slowly_is_low(values: Tensor, share: float) -> None:
    assert low_frequencies(sampled({"a": values})[None]) == [pytest.approx(share)]


def test_white_noise_has_a_sixteenth_in_the_lowest_sixteenth() -> None:
    torch.manual_seed(0)
    (share,) = low_frequencies(sampled({"a": torch.randn(500, 1000)})[None])
    assert share == pytest.approx(1 / 16, abs=0.02)
    assert low_frequencies(np.zeros((1, 32), dtype=np.float32)) == [None]
