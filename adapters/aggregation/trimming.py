"""The coordinate-wise trimmed mean."""

import numpy as np

from adapters.screening.values import Doubles, Values

_BLOCK = 16_384


def trimmed_mean(rows: list[Values], trimmed: int) -> Doubles:
    """Return the mean of each coordinate without its ``trimmed`` highest and as many lowest values.

    Of Yin, Chen, Ramchandran and Bartlett (arXiv 1803.01498). A few thousand coordinates are sorted at a time.

    Args:
        rows: an update each, of as many values.
        trimmed: fewer than half of the rows.
    """
    kept = slice(trimmed, len(rows) - trimmed)
    means = np.empty(len(rows[0]))
    for start in range(0, len(means), _BLOCK):
        here = slice(start, start + _BLOCK)
        columns = np.stack([row[here] for row in rows], axis=1)
        columns.sort(axis=1)
        columns[:, kept].mean(axis=1, dtype=np.float64, out=means[here])
    return means
