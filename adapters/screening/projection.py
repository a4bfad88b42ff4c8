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

FOLDED = 1021
"""Width of the sketches that are remembered: a prime, so that groups of buckets do not fall onto one another."""

_WIDEST = 1024
_NARROWEST = 0.75
_TYPICAL = (1.0 + _NARROWEST) / 2.0
"""Of a group's width, what pieces are laid out in."""

_SIGNS = PIECE + 16_384


@dataclass(frozen=True)
class _Layer:
    """A tensor's buckets: ``groups`` groups of ``width``, from ``start`` on. A piece goes into one group."""

    start: int
    width: int
    groups: int
    is_exact: bool

    @property
    def starts(self) -> range:
        """Where its groups begin."""
        return range(self.start, self.start + self.groups * self.width, max(self.width, 1))


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a piece goes, and under which signs.

    Attributes:
        buckets: of all its tensors.
        whole: values of each that are in whole rows.
        signs: of those, (tensors, rows, width).
        rest: of the others, (tensors, values).
    """

    buckets: slice
    whole: int
    signs: Array
    rest: Array


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
        self.width = 0
        """Number of buckets."""
        self._layers: dict[int, _Layer] = {}
        for place in dict.fromkeys(place for piece in pieces for place in piece.places):
            self._layers[place] = _layer(math.prod(shapes[place]), total, self.width)
            self.width = self._layers[place].starts.stop
        self.spans = [self._span(place) for place in range(len(shapes))]
        """Where the tensors' buckets are, in the manifest's order."""
        signs = random.integers(0, 2, min(total, _SIGNS), dtype=np.int8) * np.float32(2.0) - np.float32(1.0)
        either = signs, -signs
        self._targets = [self._target(piece, shapes[piece.places[0]], either, random) for piece in pieces]

    def read(self, number: int, values: Values, found: Array) -> None:
        """Add one piece to its buckets; see `Reader`."""
        target = self._targets[number]
        tensors, _, width = target.signs.shape
        values = values.reshape(len(values), tensors, -1)
        buckets = found[:, target.buckets].reshape(len(values), tensors, -1)
        if target.whole:
            rows = values[:, :, : target.whole].reshape(len(values), tensors, -1, width)
            # NumPy reads the rows once, and copies nothing.
            buckets[:, :, :width] += np.einsum("utrk,trk->utk", rows, target.signs)
        if target.rest.size:
            buckets[:, :, : target.rest.shape[1]] += values[:, :, target.whole :] * target.rest

    def errors(self, sketches: Array) -> Doubles:
        """Standard errors of the cosines between each of (updates, width) and others that spread alike."""
        groups = [(start, layer) for layer in self._layers.values() for start in layer.starts]
        parts = [sketches[:, start : start + layer.width] for start, layer in groups]
        energies = np.stack([np.einsum("ij,ij->i", part, part) for part in parts], axis=1).astype(np.float64)
        shares = energies / np.maximum(energies.sum(axis=1, keepdims=True), 1e-300)
        lossy = [0.0 if layer.is_exact else 1.0 / (_TYPICAL * layer.width) for _, layer in groups]
        return np.asarray(np.sqrt(np.square(shares) @ np.array(lossy)))

    def _span(self, place: int) -> slice:
        layer = self._layers.get(place)
        return slice(layer.starts.start, layer.starts.stop) if layer else slice(0, 0)

    def _target(
        self, piece: Piece, shape: tuple[int, ...], signs: tuple[Array, Array], random: np.random.Generator
    ) -> _Target:
        first, last = self._layers[piece.places[0]], self._layers[piece.places[-1]]
        begin = int(random.integers(len(signs[0]) - piece.size + 1))
        under = signs[random.integers(2)][begin : begin + piece.size].reshape(len(piece.places), -1)
        size = piece.stop - piece.start
        if first.is_exact:
            buckets = slice(first.start + piece.start, last.start + piece.stop)
            return _Target(buckets, size, under[:, None], under[:, size:])
        # Pieces share signs; in rows of widths of their own, what that does does not add up.
        width = _coprime(first.width - int(random.integers(int(first.width * (1.0 - _NARROWEST)))), shape[-1])
        whole = size // width * width
        group = first.starts[piece.start // PIECE % first.groups]
        buckets = slice(group, group + first.width * len(under))
        rows = under[:, :whole].reshape(len(under), -1, width)
        return _Target(buckets, whole, rows, under[:, whole:])


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


def _layer(size: int, total: int, start: int) -> _Layer:
    most = max(FEWEST, BUCKETS * size // total)
    if size <= most:
        return _Layer(start, size, 1, is_exact=True)
    groups = min(-(-most // _WIDEST), -(-size // PIECE))
    return _Layer(start, most // groups, groups, is_exact=False)


def _coprime(width: int, columns: int) -> int:
    """The largest width up to ``width`` under which a tensor's column does not fall into few buckets."""
    while width > 1 and math.gcd(width, columns) > 1:
        width -= 1
    return width
