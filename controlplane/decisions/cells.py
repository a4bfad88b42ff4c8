"""Small numbers by name that change in one step: what rates and budgets are counted in."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")

Cell = tuple[float, ...]
"""What is kept of one name; always as many numbers."""


class Cells(Protocol):
    """Keeps a cell for each name, for as many names as there is room."""

    def change(self, name: str, work: Callable[[Cell | None], tuple[T, Cell]]) -> T:
        """Replace a name's cell (none for a new name) by the one that ``work`` returns; return its answer.

        Nobody else sees or changes the cell in between.
        """
        ...

    def look(self, name: str) -> Cell | None:
        """Return a name's cell, or none."""
        ...


class OwnCells:
    """Cells of this process alone. Where room is lacking, the name that was changed longest ago goes.

    Args:
        capacity: names that are kept at most.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._cells: OrderedDict[str, Cell] = OrderedDict()

    def change(self, name: str, work: Callable[[Cell | None], tuple[T, Cell]]) -> T:
        """Replace a name's cell, and return the answer of ``work``."""
        answer, cell = work(self._cells.get(name))
        self._cells.pop(name, None)
        while len(self._cells) >= self._capacity:
            self._cells.popitem(last=False)
        self._cells[name] = cell
        return answer

    def look(self, name: str) -> Cell | None:
        """Return a name's cell, or none."""
        return self._cells.get(name)

    def __len__(self) -> int:
        return len(self._cells)
