"""Updates become one: as the plain formulas say, however they are typed, and the same each time."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.aggregation import aggregate
from adapters.aggregation.mixing import tolerated
from adapters.aggregation.trimming import trimmed_mean
from controlplane.contracts.decision import Aggregation

Update = dict[str, Tensor]

ROBUST: tuple[Aggregation, ...] = ("trimmed_mean", "geometric_median", "nnm")
METHODS: tuple[Aggregation, ...] = ("mean", *ROBUST)


def update(seed: int, centre: float = 1.0, spread: float = 0.5) -> Update:
    noise = torch.Generator().manual_seed(seed)
    return {
        "w": centre + spread * torch.randn(30, 20, generator=noise),
        "b": centre + spread * torch.randn(7, generator=noise),
    }


def flat(one: Update) -> Tensor:
    return torch.cat([one[name].double().reshape(-1) for name in sorted(one)])


def plain_median(points: Sequence[Tensor]) -> Tensor:
    """The geometric median by Weiszfeld's iteration over whole vectors."""
    found = torch.stack(list(points)).mean(dim=0)
    for _ in range(500):
        weights = torch.stack([1.0 / (point - found).norm().clamp_min(1e-12) for point in points])
        found = (weights[:, None] * torch.stack(list(points))).sum(dim=0) / weights.sum()
    return found


def plain_mixing(points: Sequence[Tensor], hostile: int) -> list[Tensor]:
    """Nearest-neighbour mixing over whole vectors."""
    return [
        torch.stack(sorted(points, key=lambda other: float((other - own).norm()))[: len(points) - hostile]).mean(dim=0)
        for own in points
    ]


@settings(max_examples=25, deadline=None)
@given(weights=st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any))
def test_the_mean_is_weighted_by_what_is_claimed(weights: list[int]) -> None:
    updates = [update(seed) for seed in range(len(weights))]
    wanted = sum(weight * flat(one) for weight, one in zip(weights, updates, strict=True)) / sum(weights)
    assert torch.allclose(flat(aggregate("mean", updates, weights)), torch.as_tensor(wanted))


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 12), seed=st.integers(0, 1000), data=st.data())
def test_the_trimmed_mean_leaves_out_the_ends_of_each_coordinate(count: int, seed: int, data: st.DataObject) -> None:
    trimmed = data.draw(st.integers(0, (count - 1) // 2))
    rows = np.random.default_rng(seed).standard_normal((count, 50)).astype(np.float32)
    found = trimmed_mean(list(rows), trimmed)
    for column, mean in zip(rows.T, found, strict=True):
        kept = sorted(column.tolist())[trimmed : count - trimmed]
        assert mean == pytest.approx(sum(kept) / len(kept), abs=1e-6)


def test_coordinates_are_sorted_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(np.random.default_rng(0).standard_normal((9, 100)).astype(np.float32))
    whole = trimmed_mean(rows, 2)
    monkeypatch.setattr("adapters.aggregation.trimming._BLOCK", 7)
    assert np.array_equal(trimmed_mean(rows, 2), whole)


def test_the_geometric_median_is_that_of_whole_vectors() -> None:
    updates = [*(update(seed) for seed in range(7)), update(9, -5.0)]
    found = flat(aggregate("geometric_median", updates, [1] * 8))
    assert torch.allclose(found, plain_median([flat(one) for one in updates]), atol=1e-4)


def test_mixing_with_the_nearest_is_that_of_whole_vectors() -> None:
    updates = [*(update(seed) for seed in range(8)), update(9, -5.0), update(10, -5.0)]
    found = flat(aggregate("nnm", updates, [1] * 10))
    mixed = plain_mixing([flat(one) for one in updates], tolerated(10))
    assert torch.allclose(found, plain_median(mixed), atol=1e-4)


@pytest.mark.parametrize("method", ROBUST)
@pytest.mark.parametrize("far", [-1e2, 1e6])
def test_a_minority_that_was_let_through_does_little(method: Aggregation, far: float) -> None:
    honest, hostile = [update(seed) for seed in range(8)], [update(90 + seed, far, 0.0) for seed in range(2)]
    alone = flat(aggregate(method, honest, [1] * 8))
    found = flat(aggregate(method, [*honest, *hostile], [1] * 10))
    assert float((found - alone).norm() / alone.norm()) < 0.25
    mean = flat(aggregate("mean", [*honest, *hostile], [1] * 10))
    assert float((mean - alone).norm() / alone.norm()) > 10.0


@pytest.mark.parametrize("method", ROBUST)
def test_a_claim_buys_no_influence_and_nothing_claimed_has_no_voice(method: Aggregation) -> None:
    updates = [update(seed) for seed in range(6)]
    plain = aggregate(method, updates, [1] * 6)
    claimed = aggregate(method, updates, [1, 1, 1, 1, 1, 10**9])
    assert torch.equal(flat(plain), flat(claimed))
    silent = aggregate(method, [*updates, update(9, 50.0)], [1] * 6 + [0])
    assert torch.equal(flat(silent), flat(plain))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_updates_become_something_between_them(method: Aggregation, count: int) -> None:
    updates = [update(seed) for seed in range(count)]
    found, all_of_them = flat(aggregate(method, updates, [1] * count)), torch.stack([flat(one) for one in updates])
    slack = 1e-6
    assert bool((found >= all_of_them.amin(dim=0) - slack).all())
    assert bool((found <= all_of_them.amax(dim=0) + slack).all())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_type_gives_float64_in_the_shapes_that_came(method: Aggregation, dtype: torch.dtype) -> None:
    updates = [{name: tensor.to(dtype) for name, tensor in update(seed).items()} for seed in range(5)]
    found = aggregate(method, updates, [1] * 5)
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()} == {
        "w": (torch.Size([30, 20]), torch.float64),
        "b": (torch.Size([7]), torch.float64),
    }
    assert float(flat(found).mean()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_round_gives_the_same_bits(method: Aggregation) -> None:
    big = [{"w": torch.randn(400, 300, generator=torch.Generator().manual_seed(seed))} for seed in range(9)]
    first, again = (aggregate(method, big, [1] * 9)["w"] for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("method", METHODS)
def test_without_anything_that_weighs_there_is_nothing(method: Aggregation) -> None:
    with pytest.raises(ValueError, match="weighs"):
        aggregate(method, [update(0)], [0])
    with pytest.raises(ValueError, match="weighs"):
        aggregate(method, [], [])


@pytest.mark.parametrize("method", ["geometric_median", "nnm"])
def test_updates_that_are_all_zero_become_zero(method: Aggregation) -> None:
    still = {"w": torch.zeros(30, 20), "b": torch.zeros(7)}
    assert not flat(aggregate(method, [still] * 4, [1] * 4)).any()
