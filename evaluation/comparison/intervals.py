"""Means over seeds with their 95 % intervals: Student's t, for seeds are few and drawn independently."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, sqrt

# The 0.975 quantile of Student's t distribution by degrees of freedom, from 1.
_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class Mean:
    """A mean over seeds.

    Attributes:
        value: the mean.
        half: half the width of its 95 % interval; infinite with one seed, which says nothing of spread.
        count: seeds.
    """

    value: float
    half: float
    count: int

    @property
    def text(self) -> str:
        """For tables, three digits."""
        return self.rounded(3)

    def rounded(self, digits: int) -> str:
        """For tables, so many digits."""
        return f"{self.value:.{digits}f}" + ("" if self.half == inf else f" ± {self.half:.{digits}f}")


def mean(values: Iterable[float | None]) -> Mean | None:
    """The mean of what is known; none where nothing is.

    Beyond ten degrees of freedom the interval is a little wider than need be.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    count, centre = len(known), sum(known) / len(known)
    if count == 1:
        return Mean(centre, inf, 1)
    spread = sqrt(sum((value - centre) ** 2 for value in known) / (count - 1))
    return Mean(centre, quantile(count - 1) * spread / sqrt(count), count)


def quantile(degrees: int) -> float:
    """The 0.975 quantile of Student's t, or a little more."""
    if degrees <= len(_QUANTILES):
        return _QUANTILES[degrees - 1]
    return _QUANTILES[-1] if degrees <= 30 else 2.05
