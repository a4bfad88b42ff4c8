"""A secret sample of an update's values: what signs and spectra are read from.

Shares are estimated from it to about half a per cent, at a cost that the model's size does not set. It is made of
runs of neighbouring values, so that it has a spectrum; small updates are sampled whole.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from adapters.screening.values import Array, Piece, Values

Runs: TypeAlias = npt.NDArray[np.int64]

SAMPLED = 8192
"""Values of an update that are looked at."""

RUN = 64
"""Neighbouring values in a run."""

FINE = 16
"""Values over which the lowest part of the spectrum is constant."""


class Sample:
    """One sample of updates of one form, a `Reader`; the same seed gives the same one.

    Args:
        pieces: of updates.
        seed: a secret of the enforcement point: what is not looked at could be anything.
    """

    def __init__(self, pieces: Sequence[Piece], seed: int) -> None:
        random = np.random.default_rng(seed)
        sizes = np.array([piece.size for piece in pieces], dtype=np.int64)
        if sizes.sum() <= SAMPLED:
            self._runs: list[Runs | None] = [None] * len(pieces)
        else:
            self._runs = _chosen(sizes // RUN, random)
        taken = zip(sizes.tolist(), self._runs, strict=True)
        edges = [0, *accumulate(-(-size // FINE) * FINE if runs is None else len(runs) * RUN for size, runs in taken)]
        self.width = edges[-1]
        self._spans = [slice(*pair) for pair in pairwise(edges)]

    def read(self, number: int, values: Values, found: Array) -> None:
        """Take what is sampled of one piece; see `Reader`. What is sampled whole is filled up with zeros."""
        runs, span = self._runs[number], found[:, self._spans[number]]
        updates, size = values.shape
        if runs is None:
            span[:, :size] = values
        elif len(runs):
            span.reshape(updates, -1, RUN)[:] = values[:, : size // RUN * RUN].reshape(updates, -1, RUN)[:, runs]


def sign_balances(samples: Array) -> list[float | None]:
    """Share of the non-zero ones of (updates, values) that are positive."""
    # Row by row, here and below: NumPy counts a row faster than it counts along an axis, and in cache.
    pairs = [(np.count_nonzero(row > 0), np.count_nonzero(row != 0)) for row in samples]
    return [positive / signed if signed else None for positive, signed in pairs]


def sign_agreements(samples: Array, aims: Array) -> list[float]:
    """Share of the non-zero ones of ``aims`` whose sign ``samples`` share; 0 where there is none."""
    pairs = zip(samples, np.broadcast_to(aims, samples.shape), strict=True)
    counts = [(_agreeing(row, aim), np.count_nonzero(aim != 0)) for row, aim in pairs]
    return [alike / signed if signed else 0.0 for alike, signed in counts]


def low_frequencies(samples: Array) -> list[float | None]:
    """Share of the squared length of (updates, values) in the lowest sixteenth of the Walsh spectrum.

    Of the Walsh functions in order of sequency, the lowest sixteenth are those that are constant over runs of
    `FINE` values, so what falls to them is the energy of the runs' means. White noise has a sixteenth.
    """
    means = np.einsum("ijk->ij", samples.reshape(len(samples), -1, FINE))
    low, total = np.einsum("ij,ij->i", means, means) / FINE, np.einsum("ij,ij->i", samples, samples)
    pairs = zip(low.tolist(), total.tolist(), strict=True)
    return [min(part / whole, 1.0) if whole > 0.0 else None for part, whole in pairs]


def _agreeing(row: Array, aim: Array) -> int:
    return int(np.count_nonzero((row > 0) & (aim > 0)) + np.count_nonzero((row < 0) & (aim < 0)))


def _chosen(runs: Runs, random: np.random.Generator) -> list[Runs | None]:
    """Which of each piece's runs are looked at, out of so many."""
    edges = np.concatenate([[0], np.cumsum(runs)])
    chosen = np.sort(random.choice(edges[-1], SAMPLED // RUN, replace=False))
    split = np.searchsorted(chosen, edges)
    return [chosen[a:b] - start for (a, b), start in zip(pairwise(split.tolist()), edges.tolist(), strict=False)]
