"""Updates that are reduced together are each reduced as if they had come alone."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from adapters.screening import Manifest, TensorSpec
from adapters.screening.reduce import Lens, Reduced

SHAPES = {"bias": (40,), "large": (300, 250), "layer.0": (20, 16), "layer.1": (20, 16), "q.lora_B.weight": (96, 4)}


def update(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=noise).to(dtype) for name, shape in SHAPES.items()}


def is_same(one: Reduced, other: Reduced) -> bool:
    pairs = [(one.sketch, other.sketch), (one.sample, other.sample), *((one.ups[k], other.ups[k]) for k in one.ups)]
    arrays_alike = all(np.array_equal(np.asarray(first), np.asarray(second)) for first, second in pairs)
    told = [dataclasses.replace(each, sketch=None, sample=None, ups={}) for each in (one, other)]
    return told[0] == told[1] and one.ups.keys() == other.ups.keys() and arrays_alike


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_what_is_found_does_not_depend_on_what_is_read_beside_it_bit_for_bit(dtype: torch.dtype) -> None:
    lens = Lens(Manifest.of(update(0, dtype)), 7)
    updates = [update(seed, dtype) for seed in range(5)]
    together = lens.reduce_together([(one, f"d{number}") for number, one in enumerate(updates)])
    alone = [lens.reduce(one, f"d{number}") for number, one in enumerate(updates)]
    assert len({one.measured.norm for one in alone}) == 5
    assert all(map(is_same, together, alone))


def test_what_is_unsound_changes_nothing_that_is_said_of_its_neighbours() -> None:
    lens = Lens(Manifest.of(update(0)), 7)
    infinite, nothing = update(1), {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    infinite["large"][3, 3] = float("inf")
    sent = [{}, update(2), infinite, {**update(3), "more": torch.zeros(1)}, nothing, update(4)]
    found = lens.reduce_together([(one, str(number)) for number, one in enumerate(sent)])
    assert [one.digest for one in found] == list("012345")
    assert [one.measured.shapes_match for one in found] == [False, True, True, False, True, True]
    assert [one.sketch is not None for one in found] == [False, True, False, False, False, True]
    assert (found[2].measured.nonfinite, found[3].measured.parameters) == (1, found[1].measured.parameters + 1)
    assert is_same(found[1], lens.reduce(update(2), "1"))
    assert is_same(found[5], lens.reduce(update(4), "5"))
    assert lens.reduce_together([]) == []


@pytest.mark.parametrize(("side", "at_once"), [(64, 12), (1024, 8), (4096, 1)])
def test_fewer_updates_are_read_together_where_tensors_are_large(side: int, at_once: int) -> None:
    tensors = {"small": TensorSpec((8,), torch.float32), "w": TensorSpec((side, side), torch.float32)}
    assert Lens(Manifest(tensors), 0).at_once == at_once
