"""Weights by which updates are mixed, found from their inner products alone.

A robust centre that lies in the updates' span is a mixture of them, so that the data is read twice however many steps
it takes to find: once for the inner products, once to mix.
"""

import numpy as np

from adapters.screening.values import Doubles

TOLERATED = 0.2
"""Share of a round's updates that may be hostile although they were accepted."""

_STEPS = 100
_DONE = 1e-9
_NEAR = 1e-6
_GRAIN = 2.0**30


def tolerated(count: int) -> int:
    """Of so many updates, how many may be hostile: at least one of three, and always fewer than half."""
    return min(max(1, round(TOLERATED * count)), (count - 1) // 2)


def geometric_median(gram: Doubles) -> Doubles:
    """Return the weights of the geometric median, whose distances to the updates have the smallest sum.

    Weiszfeld's iteration with distances bounded from below; as an aggregate by Pillutla, Kakade and Harchaoui (RFA,
    arXiv 1912.13445). Fewer than half of the updates, whatever they are, move it only so far.

    Args:
        gram: inner products of the updates, (updates, updates).

    Returns:
        (updates,), which add up to 1.
    """
    own = gram.diagonal()
    near = _NEAR * np.sqrt(np.median(own))
    weights = np.full(len(gram), 1.0 / len(gram))
    for _ in range(_STEPS):
        along = gram @ weights
        distances = np.sqrt(np.maximum(own - 2.0 * along + weights @ along, 0.0))
        found = 1.0 / np.maximum(distances, max(near, 1e-150))
        found /= found.sum()
        is_done = np.abs(found - weights).max() < _DONE
        weights = found
        if is_done:
            break
    return weights


def settled(weights: Doubles) -> Doubles:
    """Return weights as multiples of a small grain, which add up to 1: what differs in the last bits is then the same.

    How a library splits a sum over threads decides those.
    """
    counts = np.rint(weights * _GRAIN)
    return np.asarray(counts / counts.sum())


def neighbour_mixing(gram: Doubles, hostile: int) -> Doubles:
    """Return the mixtures that replace each update by the mean of its nearest ones, itself among them.

    Nearest-neighbour mixing (Allouah, Farhadkhani, Guerraoui, Gupta, Pinot and Stephan, arXiv 2302.01772): it takes
    what honest updates differ by from under the aggregate that follows, which thereby tolerates as many hostile ones
    as can be tolerated.

    Args:
        gram: inner products of the updates, (updates, updates).
        hostile: how many may be; each is mixed with all but so many.

    Returns:
        (updates, updates): the mixture that takes the place of each, by row.
    """
    count = len(gram)
    own = gram.diagonal()
    distances = own[:, None] + own - 2.0 * gram
    np.fill_diagonal(distances, -1.0)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, : count - hostile]
    mixtures = np.zeros((count, count))
    np.put_along_axis(mixtures, nearest, 1.0 / (count - hostile), axis=1)
    return mixtures
