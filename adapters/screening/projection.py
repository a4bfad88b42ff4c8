"""A secret random projection of updates to a few thousand values that keeps their angles.

A count sketch (Charikar, Chen and Farach-Colton, 2002): each value is added to one bucket, under a random sign. Here a
piece of a tensor is laid out in rows of a secret width, and added up row by row, so that data is read once and in
order. Each tensor has buckets of its own, so angles within a tensor can be told too. A tensor with no more values than
buckets is kept as it is, and nothing of it is lost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adapters.screening.manifest import Manifest
from adapters.screening.values import PIECE, Array, Doubles, Piece, Values

BUCKETS = 8192
"""Buckets of a whole update, shared out by the tensors' sizes: cosines are known to about 1/sqrt(BUCKETS)."""

FEWEST = 64
"""Buckets of a tensor, at least."""

FOLDED = 1024
"""Width of the sketches that are remembered."""

_WIDEST = 1024
_NARROWEST = 0.75
_TYPICAL = (1.0 + _NARROWEST) / 2.0
"""Of a group's width, what pieces are laid out in."""

_SIGNS = PIECE + 16_384


@dataclass(frozen=True)
class _Layer:
    """A tensor's buckets: ``groups`` groups of ``width``, from ``start`` on. A piece goes into one group.

    Its pieces are laid out in rows whose width has no factor in common with the tensor's ``columns``: a column that is
    larger than the others would fall into few buckets.
    """

    start: int
    width: int
    groups: int
    columns: int
    is_exact: bool

    @property
    def stop(self) -> int:
        """Where they end."""
        return self.start + self.width * self.groups

    @property
    def starts(self) -> range:
        """Where its groups begin."""
        return range(self.start, self.stop, max(self.width, 1))


@dataclass(frozen=True)
class _Target:
    """Where a piece goes, and under which signs: a stretch of them, as it is or turned."""

    buckets: slice
    signs: slice
    turned: int


class Projection:
    """One projection of updates of one form, a `Reader`; the same seed gives the same one.

    Args:
        manifest: the form.
        pieces: of updates.
        seed: whoever knows it could hide from the evidence, so it is a secret of the enforcement point.
    """

    def __init__(self, manifest: Manifest, pieces: Sequence[Piece], seed: int) -> None:
        random = np.random.default_rng(seed)
        shapes = [spec.shape for spec in manifest.tensors.values()]
        total = sum(map(math.prod, shapes))
        self._layers: list[_Layer] = []
        for shape in shapes:
            self._layers.append(_layer(shape, total, self._layers[-1].stop if self._layers else 0))
        self.width = self._layers[-1].stop
        """Number of buckets."""
        self.edges = [layer.start for layer in self._layers] + [self.width]
        """Where the tensors' buckets begin and end."""
        signs = random.integers(0, 2, min(total, _SIGNS), dtype=np.int8) * np.float32(2.0) - np.float32(1.0)
        self._signs: tuple[Array, Array] = (signs, -signs)
        self._targets = [self._target(piece, random) for piece in pieces]

    def read(self, number: int, values: Values, found: Array) -> None:
        """Add one piece to its buckets; see `Reader`."""
        target = self._targets[number]
        signs, buckets = self._signs[target.turned][target.signs], found[target.buckets]
        width = len(buckets)
        whole = len(values) // width * width
        if whole:
            buckets += np.einsum("rk,rk->k", values[:whole].reshape(-1, width), signs[:whole].reshape(-1, width))
        if whole < len(values):
            buckets[: len(values) - whole] += values[whole:] * signs[whole:]

    def errors(self, sketches: Array) -> Doubles:
        """Standard errors of the cosines between each of (updates, width) and others that spread alike."""
        groups = [(start, layer) for layer in self._layers for start in layer.starts]
        energies = np.add.reduceat(np.square(sketches, dtype=np.float64), [start for start, _ in groups], axis=1)
        shares = energies / np.maximum(energies.sum(axis=1, keepdims=True), 1e-300)
        lossy = [0.0 if layer.is_exact else 1.0 / (_TYPICAL * layer.width) for _, layer in groups]
        return np.asarray(np.sqrt(np.square(shares) @ np.array(lossy)))

    def _target(self, piece: Piece, random: np.random.Generator) -> _Target:
        layer = self._layers[piece.place]
        first = int(random.integers(len(self._signs[0]) - piece.size + 1))
        signs, turned = slice(first, first + piece.size), int(random.integers(2))
        if layer.is_exact:
            return _Target(slice(layer.start + piece.start, layer.start + piece.stop), signs, turned)
        start = layer.starts[piece.start // PIECE % layer.groups]
        # Pieces share signs; in rows of widths of their own, what that does does not add up.
        width = _coprime(layer.width - int(random.integers(int(layer.width * (1.0 - _NARROWEST)))), layer.columns)
        return _Target(slice(start, start + width), signs, turned)


def fold(sketches: Array) -> Array:
    """Sketches, (updates, width), with `FOLDED` buckets at most: buckets that share a remainder are added up."""
    count, width = sketches.shape
    if width <= FOLDED:
        return sketches
    folded = np.zeros((count, FOLDED), dtype=np.float32)
    for start in range(0, width, FOLDED):
        part = sketches[:, start : start + FOLDED]
        folded[:, : part.shape[1]] += part
    return folded


def _layer(shape: tuple[int, ...], total: int, start: int) -> _Layer:
    size = math.prod(shape)
    most = max(FEWEST, BUCKETS * size // max(total, 1))
    if size <= most:
        return _Layer(start, size, 1, 0, is_exact=True)
    groups = min(-(-most // _WIDEST), -(-size // PIECE))
    return _Layer(start, most // groups, groups, shape[-1], is_exact=False)


def _coprime(width: int, columns: int) -> int:
    """The largest width up to ``width`` under which a tensor's column does not fall into few buckets."""
    while width > 1 and math.gcd(width, columns) > 1:
        width -= 1
    return width
