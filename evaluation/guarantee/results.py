"""From what was seen of each home to rates with their uncertainty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from controlplane.behavior.trust import lower_bound

QUANTILE_95 = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""

TOP_SHARE = 0.99


@dataclass(frozen=True)
class Seen:
    """What one judge saw of one federation.

    Attributes:
        scenario: it belongs to.
        variant: of the terms.
        honest: subjects.
        shifted: those of them whose data shifted.
        hostile: the others.
        quarantined: the round, from 1, by subject.
        exceeded: p-values before heterogeneity, by subject.
    """

    scenario: str
    variant: str
    honest: Sequence[str]
    shifted: Sequence[str]
    hostile: Sequence[str]
    quarantined: Mapping[str, int]
    exceeded: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Rate:
    """How many of how many, with a 95 % interval (Wilson)."""

    of: int
    count: int

    @property
    def share(self) -> float:
        """The share itself; 0 of none."""
        return self.count / self.of if self.of else 0.0

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return lower_bound(self.count, self.of - self.count, QUANTILE_95)

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return 1.0 - lower_bound(self.of - self.count, self.count, QUANTILE_95)

    def figures(self) -> dict[str, float]:
        """For reports."""
        return {"of": self.of, "count": self.count, "share": self.share, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Heterogeneity:
    """How unevenly the scores that reach a threshold are spread over honest homes.

    Attributes:
        level: of the bet; the threshold is reached by the share ``level / heterogeneity`` of the pool.
        mean: how often homes reach it, as a multiple of that share.
        top: the same of the home in the 99th percentile.
        chance: what the 99th percentile would be of homes that are all alike, by chance alone.
    """

    level: float
    mean: float
    top: float
    chance: float


def quarantined(seen: Sequence[Seen], group: str) -> Rate:
    """How many of a group, ``honest``, ``shifted`` or ``hostile``, were quarantined in their federations' time."""
    subjects = [(one, name) for one in seen for name in getattr(one, group)]
    return Rate(len(subjects), sum(name in one.quarantined for one, name in subjects))


def rounds_to_quarantine(seen: Sequence[Seen]) -> float | None:
    """The median round in which a hostile home is quarantined; none where none was."""
    found = [one.quarantined[name] for one in seen for name in one.hostile if name in one.quarantined]
    return float(median(found)) if found else None


def heterogeneity(seen: Sequence[Seen], levels: Sequence[float], assumed: float) -> list[Heterogeneity]:
    """Measure, at each level that is bet on, what ``assumed`` is assumed to bound."""
    return [_at(seen, level, level / assumed) for level in sorted(levels)]


def _at(seen: Sequence[Seen], level: float, threshold: float) -> Heterogeneity:
    found = [one.exceeded[name] for one in seen for name in one.honest if one.exceeded.get(name)]
    if not found:
        return Heterogeneity(level, 0.0, 0.0, 0.0)
    reached = np.array([sum(p <= threshold for p in of_one) for of_one in found])
    counts = np.array([len(of_one) for of_one in found])
    expected = float(reached.sum() / counts.sum())
    alike = np.random.default_rng(0).binomial(counts, expected, size=(200, len(counts))) / counts
    return Heterogeneity(
        level,
        expected / threshold,
        float(np.quantile(reached / counts, TOP_SHARE)) / threshold,
        float(np.quantile(alike, TOP_SHARE, axis=1).mean()) / threshold,
    )
