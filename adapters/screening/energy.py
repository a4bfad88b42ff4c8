"""How much of an update is in each tensor, and in how few of a tensor's rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from adapters.screening.values import Array, Doubles, Piece, Values

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
        self._counts = np.array([rows.count for _, rows in read], dtype=np.float64)
        self._all = np.array([rows.is_all for _, rows in read], dtype=np.bool_)
        self._matrix = np.array([rows.is_matrix for _, rows in read], dtype=np.bool_)
        self._places = np.array([place for place, _ in read], dtype=np.int64)

    def read(self, number: int, values: Values, found: Array) -> None:
        """Read one piece; see `Reader`."""
        for rows, tensors, span in self._read[number]:
            table = values.reshape(-1, rows.columns)
            if rows.step > 1:
                table = table.reshape(tensors, -1, rows.columns)[:, :: rows.step].reshape(-1, rows.columns)
            if table.dtype == np.float32:
                np.einsum("rk,rk->r", table, table, out=found[span])
            else:
                found[span] = np.einsum("rk,rk->r", table, table)

    def summed(self, found: Array) -> tuple[Doubles, float | None]:
        """Return the tensors' squared norms, and in how few rows they are: 0 for all alike, towards 1 for one alone.

        The latter is 1 - (participation ratio of the rows' energies) / rows, a mean over the tensors that have rows,
        weighted by their energies; none where there is no such tensor. Where anything is not finite, no norm is.
        """
        energies = found.astype(np.float64)
        if not self.width or not np.isfinite(energies.sum()):
            return np.full(self._tensors, energies.sum()), None
        sums, squares = (np.add.reduceat(each, self._starts) for each in (energies, energies * energies))
        totals = self._by_tensor(sums, self._all)
        own, squared = self._by_tensor(sums, self._matrix), self._by_tensor(squares, self._matrix)
        rows = self._by_tensor(self._counts, self._matrix)
        has_rows = squared > 0.0
        uneven = 1.0 - own[has_rows] ** 2 / squared[has_rows] / rows[has_rows]
        whole = float(totals[has_rows].sum())
        if not whole > 0.0:
            return totals, None
        return totals, min(max(float(totals[has_rows] @ uneven) / whole, 0.0), 1.0)

    def _by_tensor(self, values: Doubles, which: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Doubles:
        return np.bincount(self._places[which], values[which], self._tensors).astype(np.float64)


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
