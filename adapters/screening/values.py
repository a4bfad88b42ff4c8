"""Updates' values as they are read: in main memory, in pieces that fit a core's cache, some updates side by side.

That several updates are read at once changes nothing that is found. It makes calls long, so that threads seldom wait
for one another's turn in the interpreter.
"""

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
"""Of a piece: float64 for tensors of that type, else float32."""

PIECE = 1 << 16
"""Values in a piece, at most: read a second time, they and what they are multiplied with are in a core's cache."""

_FINE = frozenset({torch.float32, torch.float64})
"""Types whose values are read as they are; those of others are widened."""


@dataclass(frozen=True)
class Piece:
    """What is read at once: small tensors of one shape, or a part of a larger one.

    Attributes:
        places: of the tensors, in the manifest's order.
        start: the first of a tensor's values.
        stop: the end of them.
        columns: values in a row of the tensors' first dimension, of which the piece has whole ones; 0 where there are
            no rows, or they are longer than a piece.
    """

    places: tuple[int, ...]
    start: int
    stop: int
    columns: int

    @property
    def size(self) -> int:
        """How many values it has."""
        return len(self.places) * (self.stop - self.start)


class Reader(Protocol):
    """Reads updates piece by piece, and writes what it finds into an array.

    Attributes:
        width: of that array.
    """

    width: int

    def read(self, number: int, values: Values, found: Array) -> None:
        """Read one piece.

        Args:
            number: which one of `cut`.
            values: of the piece, (updates, values): one tensor's after the other's. They may lie in memory that the
                next piece is read into.
            found: (updates, width), where zeros stand for what was not read yet.
        """


def cut(manifest: Manifest) -> list[Piece]:
    """Return the pieces of an update, none of them empty."""
    alike: dict[object, list[int]] = {}
    for place, spec in enumerate(manifest.tensors.values()):
        alike.setdefault(spec, []).append(place)
    specs = list(manifest.tensors.values())
    return [piece for places in alike.values() for piece in _cut(places, specs[places[0]].shape)]


def flat(tensor: Tensor) -> Values:
    """A dense floating-point tensor's values in main memory, in one dimension, without a copy where possible."""
    whole = tensor if tensor.dtype in _FINE else tensor.detach().cpu().float()
    values: Values = whole.numpy(force=True).reshape(-1)
    return values


def read_all(
    update: Mapping[str, Tensor], manifest: Manifest, pieces: Sequence[Piece], readers: Sequence[Reader]
) -> list[Array]:
    """Return what each reader finds in an update that fits the manifest, (width,); see `read_together`."""
    return [found[0] for found in read_together([update], manifest, pieces, readers)]


def read_together(
    updates: Sequence[Mapping[str, Tensor]], manifest: Manifest, pieces: Sequence[Piece], readers: Sequence[Reader]
) -> list[Array]:
    """Return what each reader finds in updates that fit the manifest, (updates, width).

    Each piece is read by all readers in turn. Of values that are not finite, or that float32 cannot hold, nothing
    sensible is found.
    """
    names = list(manifest.tensors)
    readings = [_Reading(update, names) for update in updates]
    found = [np.zeros((len(updates), reader.width), dtype=np.float32) for reader in readers]
    table = _Table(len(updates), max((piece.size for piece in pieces), default=0))
    with np.errstate(over="ignore", invalid="ignore"):
        for number, piece in enumerate(pieces if updates else ()):
            values = table.of([part for reading in readings for part in reading.parts(piece)])
            for reader, into in zip(readers, found, strict=True):
                reader.read(number, values, into)
            # It may be a part of a tensor, which would stay while the next one is read.
            del values
    return found


class _Table:
    """Memory that updates' values are brought together in, piece by piece.

    Args:
        updates: how many.
        most: values of each, at most.
    """

    def __init__(self, updates: int, most: int) -> None:
        self._updates = updates
        self._size = updates * most
        self._memory: dict[object, Values] = {}

    def of(self, parts: Sequence[Values]) -> Values:
        """Return parts of one type, which are one after the other, as (updates, values)."""
        if len(parts) == 1:
            return parts[0].reshape(1, -1)
        kind = parts[0].dtype
        if kind not in self._memory:
            self._memory[kind] = np.empty(self._size, dtype=kind)
        size = sum(map(len, parts))
        return np.concatenate(parts, out=self._memory[kind][:size]).reshape(self._updates, -1)


class _Reading:
    """Reads pieces of an update in the order of `cut`, and holds no more than one large tensor of it."""

    def __init__(self, update: Mapping[str, Tensor], names: Sequence[str]) -> None:
        self._update = update
        self._names = names
        self._place = -1
        self._dense: Tensor | Values | None = None

    def parts(self, piece: Piece) -> list[Values]:
        """Return a piece's values, by tensor."""
        if len(piece.places) > 1:
            return [flat(self._update[self._names[place]]) for place in piece.places]
        if self._dense is None or piece.places[0] != self._place:
            # Let go of the last one before the next one is there.
            self._dense = None
            self._place = piece.places[0]
            self._dense = _dense(self._update[self._names[self._place]])
        values = self._dense[piece.start : piece.stop]
        return [flat(values) if isinstance(values, Tensor) else values]


def _dense(tensor: Tensor) -> Tensor | Values:
    """A tensor in main memory, in one dimension; one that has to be widened is, piece by piece."""
    return flat(tensor) if tensor.dtype in _FINE else tensor.detach().cpu().reshape(-1)


def _cut(places: Sequence[int], shape: tuple[int, ...]) -> Iterator[Piece]:
    size = math.prod(shape)
    columns = size // shape[0] if size and len(shape) > 1 and shape[0] > 1 else 0
    columns = columns if columns <= PIECE else 0
    if 0 < size <= PIECE:
        most = PIECE // size
        for first in range(0, len(places), most):
            yield Piece(tuple(places[first : first + most]), 0, size, columns)
        return
    step = PIECE // columns * columns if columns else PIECE
    for place in places:
        for start in range(0, size, step):
            yield Piece((place,), start, min(start + step, size), columns)
