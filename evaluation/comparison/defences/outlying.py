"""Who stands apart: robust z-scores, and the first principal component of rows."""

import torch
from torch import Tensor

MAD_TO_SIGMA = 1.4826
"""From the median absolute deviation to a standard deviation, for a normal distribution."""


def robust_z(values: Tensor, least: float = 1e-12) -> Tensor:
    """How far each value is from the median, in standard deviations told from the median deviation, [values].

    Where most are alike the deviation is bounded from below by a tenth of the plain one, so that rounding condemns
    nobody.

    Args:
        values: [values].
        least: deviation that values are taken to have at least, above 0.
    """
    away = (values - midpoint(values)).abs()
    sigma = torch.maximum(MAD_TO_SIGMA * midpoint(away), 0.1 * values.std(correction=0))
    return away / sigma.clamp_min(least)


def first_component(rows: Tensor) -> Tensor:
    """Where each row lies along the rows' first principal component, [rows]; its sign means nothing."""
    centred = rows - rows.mean(0)
    strengths, directions = torch.linalg.eigh(centred @ centred.T)
    along: Tensor = directions[:, -1] * strengths[-1].clamp_min(0.0).sqrt()
    return along


def centred_ranks(rows: Tensor) -> Tensor:
    """The rank of each value within its column, around 0, ties alike, [rows, values]."""
    ranks = torch.zeros_like(rows)
    for row in rows:
        ranks += (rows - row).sign()
    return 0.5 * ranks


def midpoint(values: Tensor) -> Tensor:
    """The median, which is the mean of the two in the middle of an even number."""
    return values.quantile(0.5)
