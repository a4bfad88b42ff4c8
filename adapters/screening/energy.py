"""How much of an update is in each tensor, and in how few of a tensor's rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapters.screening.values import Array, Doubles, Piece, Values

Summed: TypeAlias = tuple[Doubles, float | None]
"""Squared norms by tensor, and a concentration."""

Which: TypeAlias = npt.NDArray[np.bool_]

_NARROWEST = 64
_ROWS_LOOKED_AT = 256
_EXACTLY_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class _Rows:
    """How a piece is read.

    Attributes:
        columns: values in a row.
        count: rows that are read of each tensor.
        step: every so many are.
        is_all: all of the piece is.
        is_matrix: the rows are the tensors' own.
    """

    columns: int
    count: int
    step: int = 1
    is_all: bool = True
    is_matrix: bool = True


class Energies:
    """Reads the energies of rows (a `Reader`): sums of squares, in float32 within a row.

    A piece without rows is one, and so is one with narrow rows; of those some are looked at besides.

    Args:
        pieces: of updates.
        tensors: how many there are.
    """

    def __init__(self, pieces: Sequence[Piece], tensors: int) -> None:
        read = [(place, rows) for piece in pieces for rows in _rows(piece) for place in piece.places]
        edges = [0, *accumulate(rows.count for _, rows in read)]
        self.width = edges[-1]
        self._read = list(_spans(pieces))
        self._tensors = tensors
        self._starts = np.array(edges[:-1], dtype=np.int64)
        self._all = np.array([rows.is_all for _, rows in read], dtype=np.bool_)
        self._matrix = np.array([rows.is_matrix for _, rows in read], dtype=np.bool_)
        self._places = np.array([place for place, _ in read], dtype=np.int64)
        counts = np.array([[rows.count for _, rows in read]], dtype=np.float64)
        self._rows = self._by_tensor(counts, self._matrix)[0]

    def read(self, number: int, values: Values, found: Array) -> None:
        """Read one piece; see `Reader`."""
        updates = len(values)
        for rows, tensors, span in self._read[number]:
            table = values.reshape(-1, rows.columns)
            if rows.step > 1:
                table = table.reshape(updates * tensors, -1, rows.columns)[:, :: rows.step].reshape(-1, rows.columns)
            found[:, span] = np.einsum("rk,rk->r", table, table).reshape(updates, -1)

    def summed(self, found: Array) -> list[Summed]:
        """Return for each of (updates, width) the tensors' squared norms, and in how few rows they are.

        The latter is 0 for all alike, towards 1 for one alone: 1 - (participation ratio of the rows' energies) / rows,
        a mean over the tensors that have rows, weighted by their energies; none where there is no such tensor. Where
        anything is not finite, no norm is.
        """
        if not self.width:
            return [(np.zeros(self._tensors), None) for _ in found]
        energies = found.astype(np.float64)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            wholes = energies.sum(axis=1)
            sums, squares = (np.add.reduceat(each, self._starts, axis=1) for each in (energies, energies * energies))
            totals = self._by_tensor(sums, self._all)
            own, squared = self._by_tensor(sums, self._matrix), self._by_tensor(squares, self._matrix)
            uneven = np.where(squared > 0.0, 1.0 - own**2 / squared / self._rows, 0.0)
            weights = np.where(squared > 0.0, totals, 0.0)
            shares = np.clip((weights * uneven).sum(axis=1) / weights.sum(axis=1), 0.0, 1.0)
            has_rows = np.isfinite(wholes) & (weights.sum(axis=1) > 0.0)
        totals[~np.isfinite(wholes)] = wholes[~np.isfinite(wholes), None]
        told = zip(totals, shares.tolist(), has_rows.tolist(), strict=True)
        return [(total, share if has else None) for total, share, has in told]

    def _by_tensor(self, values: Doubles, which: Which) -> Doubles:
        """Add up columns of (rows, pieces), by tensor: (rows, tensors)."""
        rows = np.arange(len(values))[:, None] * self._tensors
        added = np.bincount((rows + self._places[which]).ravel(), values[:, which].ravel(), len(rows) * self._tensors)
        return added.astype(np.float64).reshape(len(rows), self._tensors)


def exactly(update: Mapping[str, Tensor], names: Sequence[str]) -> tuple[Doubles, int]:
    """Return the tensors' squared norms in float64 throughout, and how many values are not finite."""
    totals, nonfinite = [], 0
    for name in names:
        total = 0.0
        for part in torch.split(update[name].detach().reshape(-1), _EXACTLY_AT_ONCE):
            values = part.double()
            nonfinite += int((~values.isfinite()).sum())
            total += float(values.square().sum())
        totals.append(min(total, 1e300))
    return np.array(totals), nonfinite


def _rows(piece: Piece) -> list[_Rows]:
    size = piece.stop - piece.start
    if piece.columns >= _NARROWEST:
        return [_Rows(piece.columns, size // piece.columns)]
    whole = _Rows(size, 1, is_matrix=False)
    if not piece.columns:
        return [whole]
    height = size // piece.columns
    step = max(1, height // _ROWS_LOOKED_AT)
    return [whole, _Rows(piece.columns, -(-height // step), step, is_all=False)]


def _spans(pieces: Sequence[Piece]) -> Iterator[list[tuple[_Rows, int, slice]]]:
    """For each piece what is read: how, of how many tensors, and where it is written."""
    start = 0
    for piece in pieces:
        found = []
        for rows in _rows(piece):
            stop = start + rows.count * len(piece.places)
            found.append((rows, len(piece.places), slice(start, stop)))
            start = stop
        yield found
