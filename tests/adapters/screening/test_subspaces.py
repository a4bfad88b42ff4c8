"""Whether up-projections span what others span, whatever their names and sizes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.screening import Manifest
from adapters.screening.subspaces import ROWS, UpProjections, overlaps
from adapters.screening.values import Array

NAMES = {
    "base_model.model.layers.0.q_proj.lora_B.weight": True,
    "base_model.model.layers.0.q_proj.lora_B.default.weight": True,
    "embed.lora_embedding_B": True,
    "adapter.query_up": True,
    "base_model.model.layers.0.q_proj.lora_A.weight": False,
    "adapter.query_down": False,
    "head.weight": False,
    "lora_Bias.weight": False,
}


def down(matrix: torch.Tensor, seed: int = 0) -> Array:
    update = {"a_up": matrix}
    return UpProjections(Manifest.of(update), seed).take(update)["a_up"][None]


def matrix(seed: int, rows: int = 1000, rank: int = 8) -> torch.Tensor:
    return torch.randn(rows, rank, generator=torch.Generator().manual_seed(seed))


def test_up_projections_are_known_by_their_names_and_their_shape() -> None:
    manifest = Manifest.of({name: torch.zeros(64, 4) for name in NAMES} | {"odd_up": torch.zeros(4, 64)})
    assert set(UpProjections(manifest, 0).ranks) == {name for name, is_up in NAMES.items() if is_up}


def test_the_largest_are_looked_at_where_there_are_many() -> None:
    state = {f"layer{n}.lora_B.weight": torch.zeros(10 + n, 2) for n in range(40)}
    assert set(UpProjections(Manifest.of(state), 0).ranks) == {f"layer{n}.lora_B.weight" for n in range(8, 40)}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.sampled_from([40, ROWS, 1000]))
def test_the_same_span_overlaps_whole_whatever_its_basis(seed: int, rows: int) -> None:
    one, turn = matrix(seed, rows), torch.randn(8, 8, generator=torch.Generator().manual_seed(seed + 1))
    assert overlaps(down(one), down(one @ (turn + 4 * torch.eye(8)))) == [pytest.approx(1.0, abs=0.01)]


def test_spans_at_right_angles_do_not_overlap() -> None:
    basis = torch.linalg.qr(matrix(0, 1000, 16)).Q
    assert overlaps(down(basis[:, :8]), down(basis[:, 8:])) == [pytest.approx(0.0, abs=0.1)]
    assert overlaps(down(basis[:, :8]), down(torch.cat([basis[:, :4], basis[:, 8:12]], 1))) == [
        pytest.approx(0.5, abs=0.12)
    ]


def test_spans_that_are_brought_down_overlap_as_the_whole_ones_do() -> None:
    one = matrix(1, 4000)
    mixed = one + 0.7 * matrix(2, 4000)
    q, r = torch.linalg.qr(one).Q, torch.linalg.qr(mixed).Q
    whole = float((q.T @ r).square().sum()) / 8
    found = [overlaps(down(one, seed), down(mixed, seed))[0] for seed in range(20)]
    assert float(np.mean(found)) == pytest.approx(whole, abs=0.05)


def test_of_a_reference_that_spans_less_that_is_asked() -> None:
    one = matrix(1)
    thin = one.clone()
    thin[:, 2:] = 0.0
    assert overlaps(down(one), down(thin)) == [pytest.approx(1.0, abs=0.01)]
    assert overlaps(down(thin), down(one)) == [pytest.approx(0.25, abs=0.1)]


def test_nothing_spans_nothing() -> None:
    nothing = torch.zeros(1000, 8)
    assert overlaps(down(matrix(1)), down(nothing)) == [0.0]
    assert overlaps(down(nothing), down(matrix(1))) == [0.0]
    blank = UpProjections(Manifest.of({"a_up": nothing}), 0).blank()["a_up"]
    assert blank.shape == down(nothing)[0].shape
    assert not blank.any()
