"""How directions stand to one another and to the centre of the others, told from their sketches.

The centre that an update is compared with is the geometric median of all *other* updates (Weiszfeld's iteration; as
an aggregate by Pillutla, Kakade and Harchaoui, RFA, arXiv 1912.13445), each first scaled down to the cohort's median
norm, and near-identical copies counted as one voice. No update is a part of what it is compared with, its length buys
no weight, nor do its copies, and a minority of voices can say anything and moves it only so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from adapters.screening.values import Array, Doubles

NEAR_IDENTICAL = 0.999
"""Cosine from which two updates count as one. Honest devices with alike data reach 0.997 on easy tasks."""

LEADING = 4
"""Directions that a cohort is summed up by."""

_STEPS = 8
_NEAR = 1e-3
_NOTHING = np.float32(1e-30)


@dataclass(frozen=True)
class Geometry:
    """Of a cohort.

    Attributes:
        cosines: of each pair, (updates, updates), 1 on the diagonal.
        voices: what each counts, (updates,): 1, or less for one of several copies.
        lengths: of the sketches, (updates,).
        bounded: norms over the cohort's median, 1 at most, (updates,).
    """

    cosines: Array
    voices: Array
    lengths: Array
    bounded: Array

    @classmethod
    def of(cls, sketches: Array, norms: Doubles) -> Self:
        """Compare updates by their sketches, (updates, width), and norms, (updates,)."""
        lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", sketches, sketches)), _NOTHING)
        cosines = np.clip((sketches @ sketches.T) / lengths[:, None] / lengths, -1.0, 1.0)
        voices = 1.0 / np.maximum(np.count_nonzero(cosines >= NEAR_IDENTICAL, axis=1), 1).astype(np.float32)
        return cls(cosines, voices, lengths, np.minimum(norms / np.median(norms), 1.0).astype(np.float32))

    def centres(self) -> Array:
        """Return (updates, updates) whose column i mixes the updates into the centre that update i is compared with."""
        gram = self.cosines * self.bounded[:, None] * self.bounded
        return _medians(gram, self.voices) * (self.bounded / self.lengths)[:, None]

    def duplicates(self) -> list[int]:
        """For each, how many others are near-identical."""
        alike = np.count_nonzero(self.cosines >= NEAR_IDENTICAL, axis=1) - (self.cosines.diagonal() >= NEAR_IDENTICAL)
        return [int(count) for count in alike]

    def twins(self) -> list[float | None]:
        """For each, the highest cosine to another one."""
        others = self.cosines - 3.0 * np.eye(len(self.cosines), dtype=np.float32)
        return list(others.max(axis=1).tolist()) if len(others) > 1 else [None]

    def centralities(self) -> list[float | None]:
        """For each, the mean cosine to the others."""
        count = len(self.cosines)
        sums = self.cosines.sum(axis=1, dtype=np.float64) - self.cosines.diagonal()
        return list(np.clip(sums / (count - 1), -1.0, 1.0).tolist()) if count > 1 else [None]

    def residuals(self) -> list[float | None]:
        """For each, the share of its squared length outside of the cohort's leading directions.

        Directions are those of unit lengths, so that a large update does not own them (after Tran, Li and Madry,
        spectral signatures, arXiv 1811.00636); what an update itself gave to a direction is taken out of it before
        the update is compared with it. Fewer than five updates have no leading directions.
        """
        leading = min(LEADING, (len(self.voices) - 1) // 2)
        if leading < 2:
            return [None] * len(self.voices)
        own, root = self.voices[:, None], np.sqrt(self.voices)
        values, vectors = np.linalg.eigh(self.cosines * root[:, None] * root)
        strength, squared = np.maximum(values[-leading:], 0.0), np.square(vectors[:, -leading:])
        along = squared * np.square(strength - own)
        length = own * (strength - 2.0 * strength * squared + own * squared)
        explained = np.where(length > 1e-6, along / np.maximum(length, 1e-6), 0.0)
        return list(np.clip(1.0 - explained.sum(axis=1), 0.0, 1.0).tolist())


def segment_cosines(one: Array, other: Array, spans: Sequence[slice]) -> tuple[Doubles, Doubles]:
    """Cosines of each row of ``one`` to that of ``other``: within stretches of columns, and over all of those.

    Where a direction has no length the cosine is NaN: it cannot be told.

    Args:
        one: (rows, columns).
        other: the same, or (1, columns).
        spans: the stretches.

    Returns:
        (rows, stretches) and (rows,).
    """
    other = np.broadcast_to(other, one.shape)
    dots, first, second = _dots(one, other, spans), _dots(one, one, spans), _dots(other, other, spans)
    return _cosine(dots, first * second), _cosine(dots.sum(axis=1), first.sum(axis=1) * second.sum(axis=1))


def _dots(one: Array, other: Array, spans: Sequence[slice]) -> Doubles:
    parts = [np.einsum("ij,ij->i", one[:, span], other[:, span]) for span in spans]
    return np.stack(parts, axis=1).astype(np.float64)


def _cosine(dots: Doubles, squared: Doubles) -> Doubles:
    lengths = np.sqrt(squared)
    return np.where(lengths > 0.0, np.clip(dots / np.maximum(lengths, 1e-300), -1.0, 1.0), np.nan)


def _medians(gram: Array, voices: Array) -> Array:
    """Weights of the geometric medians of all others, from the inner products; each column adds up to 1, or is 0."""
    count = len(gram)
    others = voices[:, None] * (1.0 - np.eye(count, dtype=np.float32))
    weights: Array = others / np.maximum(others.sum(axis=0), _NOTHING)
    for _ in range(_STEPS if count > 2 else 0):
        along = gram @ weights
        squared = gram.diagonal()[:, None] - 2.0 * along + (weights * along).sum(axis=0)
        weights = others / np.sqrt(np.maximum(squared, np.float32(_NEAR**2)))
        weights /= np.maximum(weights.sum(axis=0), _NOTHING)
    return weights
