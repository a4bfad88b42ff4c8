"""Counting what is different, and how much of a space was reached, in a fixed number of bits."""

from collections.abc import Iterable
from math import log


class Bitmap:
    """A set of cells, of which each may be marked once; constant in memory.

    Args:
        size: number of cells; of distinct things that are counted, about as many can be told apart.
    """

    __slots__ = ("_bits", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._bits = 0

    def mark(self, places: Iterable[int]) -> None:
        """Mark the cells that whole numbers of any size fall into."""
        bits, size = self._bits, self._size
        for place in places:
            bits |= 1 << place % size
        self._bits = bits

    def joined(self, other: "Bitmap") -> "Bitmap":
        """Return the cells that are marked here or in ``other``, which has as many."""
        both = Bitmap(self._size)
        both._bits = self._bits | other._bits
        return both

    @property
    def share(self) -> float:
        """Share of the cells that are marked."""
        return self._bits.bit_count() / self._size

    def estimate(self) -> int:
        """How many different things were marked, by one cell each (linear counting, Whang et al. 1990).

        Within some percent up to about twice the number of cells; more than some five times as many are not told apart.
        """
        left = self._size - self._bits.bit_count()
        return round(self._size * log(self._size / max(left, 0.5)))
