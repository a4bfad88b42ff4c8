"""An update's values as they are read: in main memory, tensor by tensor, in pieces that fit a processor's cache."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapters.screening.manifest import Manifest

Array: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = npt.NDArray[np.floating]
"""Of one tensor or piece, in one dimension: float64 for tensors of that type, else float32."""

PIECE = 65_536
"""Values in a piece, at most: read a second time, they and what they are multiplied with are in the cache."""


@dataclass(frozen=True)
class Piece:
    """A part of a tensor.

    Attributes:
        place: of the tensor, in the manifest's order.
        start: the first of its values.
        stop: the end of them.
        columns: values in a row of the tensor's first dimension, of which the piece has whole ones; 0 where there are
            no rows, or one is longer than a piece.
    """

    place: int
    start: int
    stop: int
    columns: int

    @property
    def size(self) -> int:
        """How many values it has."""
        return self.stop - self.start


class Reader(Protocol):
    """Reads an update piece by piece, and writes what it finds into an array.

    Attributes:
        width: of that array.
    """

    width: int

    def read(self, number: int, values: Values, found: Array) -> None:
        """Read one piece.

        Args:
            number: which one of `cut`.
            values: of the piece.
            found: (width,), where zeros stand for what was not read yet.
        """


def cut(manifest: Manifest) -> list[Piece]:
    """Return the pieces of an update, none of them empty."""
    return [piece for place, spec in enumerate(manifest.tensors.values()) for piece in _cut(place, spec.shape)]


def flat(tensor: Tensor) -> Values:
    """A dense floating-point tensor's values in main memory, without a copy where that is possible."""
    values = tensor.detach().cpu()
    if values.dtype is not torch.float32 and values.dtype is not torch.float64:
        values = values.float()
    return values.numpy().reshape(-1)


def read_all(
    update: Mapping[str, Tensor], manifest: Manifest, pieces: Sequence[Piece], readers: Sequence[Reader]
) -> list[Array]:
    """Return what each reader finds in an update that fits the manifest; each piece is read by all of them in turn.

    Of values that are not finite, or that float32 cannot hold, nothing sensible is found.
    """
    tensors = [flat(update[name]) for name in manifest.tensors]
    found = [np.zeros(reader.width, dtype=np.float32) for reader in readers]
    with np.errstate(over="ignore", invalid="ignore"):
        for number, piece in enumerate(pieces):
            values = tensors[piece.place][piece.start : piece.stop]
            for reader, into in zip(readers, found, strict=True):
                reader.read(number, values, into)
    return found


def _cut(place: int, shape: tuple[int, ...]) -> Iterator[Piece]:
    size = math.prod(shape)
    columns = size // shape[0] if len(shape) > 1 and shape[0] > 1 else 0
    columns = columns if columns <= PIECE else 0
    step = max(PIECE // columns, 1) * columns if columns else PIECE
    return (Piece(place, start, min(start + step, size), columns) for start in range(0, size, step))
