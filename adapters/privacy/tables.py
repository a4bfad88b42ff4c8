"""The discrete Gaussian as a table of whole numbers: what is drawn by it is exact up to one in 2**127."""

import math
from decimal import Context, Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

TAIL = 12
"""Values further out than so many standard deviations are never drawn."""

TAIL_SHARE = 4e-33
"""The share of all of them together."""

SHARE_ERROR = 2.0**-127
"""By so much at most the share of a value is off, whatever floating-point arithmetic does."""

_BITS = 192
_WORD = (1 << 64) - 1
_EXACT = Context(prec=80)


@lru_cache(8)
def cumulative(deviation: float) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return where each value's share ends, of 2**128 in all; the values are whole numbers, the least first.

    The share of a value k is proportional to exp(-k^2 / (2 deviation^2)) (Canonne, Kamath and Steinke 2020, definition
    1). Whole numbers of 192 bits stand for shares until they are summed.

    Args:
        deviation: of the discrete Gaussian, 1 or more.

    Returns:
        The upper and the lower 64 bits of ``2 * reach(deviation)`` ends; the share of the largest value ends at 2**128,
        which is left out.
    """
    weights = _weights(deviation, reach(deviation))
    whole = [*reversed(weights[1:]), *weights]
    total, sofar, ends = sum(whole), 0, []
    for weight in whole[:-1]:
        sofar += weight
        ends.append((sofar << 128) // total)
    upper, lower = [end >> 64 for end in ends], [end & _WORD for end in ends]
    return np.array(upper, dtype=np.uint64), np.array(lower, dtype=np.uint64)


def reach(deviation: float) -> int:
    """Return the largest value that is drawn."""
    return math.ceil(TAIL * deviation)


def _weights(deviation: float, most: int) -> list[int]:
    square = Decimal(deviation) ** 2
    ratio = _fixed(_EXACT.exp(_EXACT.divide(Decimal(-1), 2 * square)))
    step = _fixed(_EXACT.exp(_EXACT.divide(Decimal(-1), square)))
    weight, weights = 1 << _BITS, []
    for _ in range(most + 1):
        weights.append(weight)
        weight = (weight * ratio) >> _BITS
        ratio = (ratio * step) >> _BITS
    return weights


def _fixed(value: Decimal) -> int:
    return int(_EXACT.multiply(value, Decimal(1 << _BITS)))
