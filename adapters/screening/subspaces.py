"""Whether low-rank updates write where the others write: the column spans of LoRA's up-projections.

An up-projection B is (outputs, rank). Its rows are added up under random signs into a few hundred, which keeps the
angles between column spans, so none is kept whole.
"""

import math
import re
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from adapters.screening.manifest import Manifest
from adapters.screening.values import Array, Doubles

ROWS = 256
"""Rows that an up-projection is brought down to."""

_MOST = 32
_RIDGE = 1e-6
_UP = re.compile(r"(^|\.)lora_(embedding_)?B(\.|$)|_up$")


class UpProjections:
    """The up-projections among an update's tensors, by their names: ``lora_B`` as peft has it, or ``*_up``.

    Args:
        manifest: the form of updates; its largest 32 are looked at.
        seed: a secret of the enforcement point.
    """

    def __init__(self, manifest: Manifest, seed: int) -> None:
        random = np.random.default_rng(seed)
        ranks = {name: _rank(spec.shape) for name, spec in manifest.tensors.items() if _UP.search(name)}
        sizes = {name: math.prod(manifest.tensors[name].shape) for name, rank in ranks.items() if rank}
        chosen = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:_MOST]
        self.ranks = {name: ranks[name] for name in chosen}
        """Name -> rank."""
        self._signs: dict[str, Array] = {
            name: (2.0 * random.integers(0, 2, (sizes[name] // rank, 1)) - 1.0).astype(np.float32)
            for name, rank in self.ranks.items()
        }

    def take(self, update: Mapping[str, Tensor]) -> dict[str, Array]:
        """Return the up-projections of an update that fits the manifest, brought down: name -> (rows, rank)."""
        return {name: self._down(update[name].detach(), name, rank) for name, rank in self.ranks.items()}

    def blank(self) -> dict[str, Array]:
        """Return what is taken of an update that is zero."""
        return {
            name: np.zeros((min(len(signs), ROWS), self.ranks[name]), dtype=np.float32)
            for name, signs in self._signs.items()
        }

    def _down(self, tensor: Tensor, name: str, rank: int) -> Array:
        matrix = np.asarray(tensor.reshape(-1, rank).float().cpu())
        if len(matrix) <= ROWS:
            return matrix
        signed = np.zeros((-(-len(matrix) // ROWS) * ROWS, rank), dtype=np.float32)
        np.multiply(matrix, self._signs[name], out=signed[: len(matrix)])
        return np.asarray(signed.reshape(-1, ROWS, rank).sum(axis=0))


def overlaps(one: Array, other: Array) -> list[float]:
    """How far the columns of ``one`` span what those of ``other`` span: the mean squared cosine of their angles.

    Args:
        one: (updates, rows, rank).
        other: the same, or (1, rows, rank).

    Returns:
        (updates,), within [0, 1]: 1 where the span is the same, 0 where it is orthogonal or there is none.
    """
    mine, theirs = _scaled(one), _scaled(other)
    between = _turned(mine) @ theirs
    inner = _turned(theirs) @ theirs
    spanned = np.linalg.solve(_ridged(_turned(mine) @ mine), between)
    asked = np.linalg.solve(_ridged(inner), _turned(between))
    whole = np.trace(np.linalg.solve(_ridged(inner), inner), axis1=1, axis2=2)
    shared = np.einsum("iab,iba->i", spanned, asked)
    return list(np.clip(shared / np.maximum(whole, 1e-9), 0.0, 1.0).tolist())


def _scaled(matrices: Array) -> Doubles:
    lengths = np.sqrt(np.square(matrices, dtype=np.float64).sum(axis=(1, 2), keepdims=True))
    return np.asarray(matrices / np.maximum(lengths, 1e-30))


def _turned(matrices: Doubles) -> Doubles:
    return matrices.transpose(0, 2, 1)


def _ridged(inner: Doubles) -> Doubles:
    return inner + _RIDGE * np.eye(inner.shape[-1])


def _rank(shape: tuple[int, ...]) -> int:
    """The rank of an up-projection of this shape; 0 where it is none."""
    if len(shape) < 2 or 0 in shape:
        return 0
    rank = math.prod(shape[1:])
    return rank if rank < shape[0] else 0
