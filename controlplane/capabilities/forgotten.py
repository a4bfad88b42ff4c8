"""Which expiries were forgotten, in a few spans that hold all of them and little else.

Whatever expires within a span may have been used and forgotten, and is refused where a clock that steps back would let
it pass. What expires between two spans was never forgotten: a clock that was ahead for a while, and is put right, has
nobody wait until it is there again.
"""

from collections.abc import Sequence
from itertools import pairwise

Span = tuple[float, float]
"""The first and the last expiry of one, Unix seconds."""

FREE: Span = (0.0, 0.0)
"""Stands for a span that holds nothing."""

SPANS = 3
"""So many are kept: of the time that is, of one that a clock was in by mistake, and of another one."""

OF_ANOTHER_TIME = 360.0
"""What expires so many seconds after what is used now was not made now, for nothing that is used lives as long: it is
of a time in which the clock was ahead, and makes room first."""


def holds(spans: Sequence[Span], expiry: float) -> bool:
    """Whether what expires then may have been forgotten."""
    return any(first <= expiry <= last for first, last in spans)


def changes(spans: Sequence[Span], expiry: float) -> list[tuple[int, Span]]:
    """Return which spans become which, so that they hold an expiry too; where there are too many, the nearest join.

    Made one after the other, at no time do they hold less than before.
    """
    if holds(spans, expiry):
        return []
    if FREE in spans:
        return [(spans.index(FREE), (expiry, expiry))]
    order = sorted(range(len(spans)), key=spans.__getitem__)
    near = min(order, key=lambda index: max(spans[index][0] - expiry, expiry - spans[index][1]))
    within = max(spans[near][0] - expiry, expiry - spans[near][1])
    pairs = [(spans[after][0] - spans[before][1], before, after) for before, after in pairwise(order)]
    apart, before, after = min(pairs, default=(within, near, near))
    if apart < within:
        return [(before, (spans[before][0], spans[after][1])), (after, (expiry, expiry))]
    return [(near, (min(spans[near][0], expiry), max(spans[near][1], expiry)))]
