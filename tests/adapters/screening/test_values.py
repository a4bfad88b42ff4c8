"""An update is cut into pieces that are small, lose nothing, and keep rows whole."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.screening import Manifest
from adapters.screening.values import PIECE, Array, Piece, Values, cut, flat, read_all

shapes = st.one_of(
    st.sampled_from([(), (0,), (0, 5), (1, 7), (PIECE,), (PIECE + 1,), (3, PIECE), (2, PIECE + 1), (700, 300)]),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
)


def form(given_shapes: list[tuple[int, ...]]) -> Manifest:
    return Manifest.of({f"t{number:02}": torch.zeros(shape) for number, shape in enumerate(given_shapes)})


@settings(max_examples=100, deadline=None)
@given(st.lists(shapes, min_size=1, max_size=12))
def test_each_value_is_in_one_piece_and_no_piece_is_empty_or_large(given_shapes: list[tuple[int, ...]]) -> None:
    seen = [np.zeros(math.prod(shape), dtype=int) for shape in given_shapes]
    for piece in cut(form(given_shapes)):
        assert 0 < piece.size <= PIECE
        for place in piece.places:
            seen[place][piece.start : piece.stop] += 1
    assert all((each == 1).all() for each in seen)


@settings(max_examples=100, deadline=None)
@given(st.lists(shapes, min_size=1, max_size=12))
def test_rows_are_never_cut(given_shapes: list[tuple[int, ...]]) -> None:
    for piece in cut(form(given_shapes)):
        if piece.columns:
            assert piece.start % piece.columns == piece.stop % piece.columns == 0
            assert {given_shapes[place][-1] for place in piece.places} == {piece.columns}


def test_small_tensors_of_one_form_are_read_together() -> None:
    state = {f"a{number}": torch.zeros(8, 8) for number in range(2000)} | {"b": torch.zeros(8, 8).half()}
    pieces = cut(Manifest.of(state))
    assert [len(piece.places) for piece in pieces] == [1024, 976, 1]


class Everything:
    """Reads everything, one piece after the other."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.width = sum(piece.size for piece in pieces)
        self.read_so_far = 0

    def read(self, number: int, values: Values, found: Array) -> None:
        size = values.shape[1]
        found[:, self.read_so_far : self.read_so_far + size] = values
        self.read_so_far += size


def test_what_readers_see_is_the_update() -> None:
    update = {"a": torch.arange(6.0).reshape(2, 3), "b": 10 + torch.arange(6.0).reshape(2, 3), "c": torch.tensor(99.0)}
    manifest = Manifest.of(update)
    pieces = cut(manifest)
    (found,) = read_all(update, manifest, pieces, [Everything(pieces)])
    assert found.tolist() == [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 99]


@pytest.mark.parametrize(
    ("dtype", "found"),
    [(torch.float32, "float32"), (torch.float64, "float64"), (torch.float16, "float32"), (torch.bfloat16, "float32")],
)
def test_values_are_as_fine_as_they_came_and_float32_at_least(dtype: torch.dtype, found: str) -> None:
    tensor = torch.tensor([[1.5, -2.0], [0.25, 8.0]], dtype=dtype, requires_grad=True)
    values = flat(tensor.T)
    assert (values.tolist(), str(values.dtype)) == ([1.5, 0.25, -2.0, 8.0], found)


def test_float32_in_memory_is_not_copied() -> None:
    tensor = torch.zeros(3, 4)
    flat(tensor)[5] = 7.0
    assert tensor[1, 1] == 7.0
