"""The Pareto front: what nothing else beats in one way without losing in another."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key")


def front(points: Mapping[Key, Sequence[float]]) -> set[Key]:
    """Those points that no other dominates; less is better in every coordinate.

    A point dominates another where it is nowhere more and somewhere less.
    """
    return {key for key, point in points.items() if not any(_dominates(other, point) for other in points.values())}


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
