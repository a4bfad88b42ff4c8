"""Numbers of a window, compared with what peers show and with what the subject itself usually does.

A reading counts as far as it is unlike both: what a whole segment does in a rush hour speaks against nobody, nor does
what one device has always done. What a subject usually does is learnt slowly and with clipped steps (Huber: Robust
Estimation of a Location Parameter, Annals of Mathematical Statistics 35, 1964), from what peers do on; so a flood is no
habit before it has been noticed.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import expm1, log1p
from statistics import median
from typing import Annotated

from pydantic import Field

from controlplane.behavior.scores import LARGEST_EXCESS, MAD_TO_SIGMA, Part
from controlplane.contracts.base import Count, Magnitude, StrictModel

FEWEST_PEERS = 3
"""Readings of others below which nothing is compared."""

ENOUGH_PEERS = 32
"""Readings with which a window needs none of those before it."""

MOST_PEERS = 512
"""Readings of a window, evenly picked, that a centre is made from."""

BURST = 6.0
"""Tolerance for how much is asked, in standard deviations of half a factor e: up to twenty times the usual. Bursts last
for many windows, of which each would count, and budgets bound them anyway."""

_PRIOR = 20
"""As many windows is what peers do worth, when a subject's own ways are learnt."""

_OLDEST = 100
_CLIP = 2.0
_MEAN_TO_SIGMA = 1.25
"""From the mean absolute deviation to a standard deviation, for a normal distribution."""

Reading = Annotated[float, Field(ge=-1e6, le=1e6)]
Readings = Mapping[str, float]
"""By measure."""


class Usual(StrictModel):
    """What one reading usually is for a subject.

    Attributes:
        centre: about it.
        spread: how far it is off, on average.
        windows: that it was learnt from; counts to a hundred.
    """

    centre: Reading
    spread: Magnitude
    windows: Count = 0

    def after(self, reading: float, spread: float) -> "Usual":
        """Return what is usual after one more reading; ``spread`` is the least standard deviation."""
        rate = 1.0 / (self.windows + 1 + _PRIOR)
        most = _CLIP * max(spread, _MEAN_TO_SIGMA * self.spread)
        step = min(most, max(-most, reading - self.centre))
        return Usual(
            centre=self.centre + rate * step,
            spread=self.spread + rate * (abs(step) - self.spread),
            windows=min(_OLDEST, self.windows + 1),
        )


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a window that can speak against a subject; more is worse.

    Attributes:
        name: how verdicts call it.
        spread: the least standard deviation that anybody is taken to have.
        tolerance: standard deviations that are nobody's business.
        is_amount: it is compared by its logarithm, `scaled`.
        is_excused: by the subject's having always been so.
    """

    name: str
    spread: float
    tolerance: float = 3.0
    is_amount: bool = False
    is_excused: bool = True

    def scaled(self, value: float) -> float:
        """The value on the scale on which it is compared."""
        return log1p(value) if self.is_amount else value

    def shown(self, reading: float) -> float:
        """What was scaled."""
        return expm1(reading) if self.is_amount else reading


@dataclass(frozen=True, slots=True)
class Centre:
    """What peers show: the median of their readings, and how far they are off it."""

    centre: float
    sigma: float


class Lately:
    """What peers showed in the window that is looked at and, where it is thin, in those before; bounded.

    Args:
        measures: that are compared.
        most: classes of peers that are remembered; those that were silent longest are forgotten.
    """

    def __init__(self, measures: Sequence[Measure], most: int = 128) -> None:
        self._measures = measures
        self._most = most
        self._before: dict[str, deque[Readings]] = {}

    def centres(self, peers: str, readings: Sequence[Readings]) -> dict[str, Centre]:
        """Return what a class of peers shows, by measure; nothing while its members are too few."""
        before = self._before.pop(peers, None) or deque(maxlen=ENOUGH_PEERS)
        sample = readings[:: 1 + len(readings) // MOST_PEERS]
        found = centres(self._measures, [*list(before)[: max(0, ENOUGH_PEERS - len(sample))], *sample])
        before.extendleft(sample[:ENOUGH_PEERS])
        while len(self._before) >= self._most:
            del self._before[next(iter(self._before))]
        self._before[peers] = before
        return found


def centres(measures: Sequence[Measure], readings: Sequence[Readings]) -> dict[str, Centre]:
    """Return the centre of some readings, by measure; nothing while they are too few."""
    if len(readings) <= FEWEST_PEERS:
        return {}
    found = {}
    for measure in measures:
        values = [one[measure.name] for one in readings]
        centre = median(values)
        sigma = max(measure.spread, MAD_TO_SIGMA * median(abs(value - centre) for value in values))
        found[measure.name] = Centre(centre, sigma)
    return found


def compared(
    measures: Sequence[Measure], own: Readings, usual: Mapping[str, Usual], peers: Mapping[str, Centre]
) -> list[Part]:
    """Return what of a subject's readings is unlike both its peers' and its own usual ones."""
    parts = []
    for measure in measures:
        seen = peers.get(measure.name)
        if seen is None:
            continue
        reading, known = own[measure.name], usual.get(measure.name)
        deviation, expected = (reading - seen.centre) / seen.sigma, seen.centre
        if known is not None and measure.is_excused and known.centre > seen.centre:
            sigma = max(measure.spread, _MEAN_TO_SIGMA * known.spread)
            deviation, expected = min((deviation, expected), ((reading - known.centre) / sigma, known.centre))
        excess = min(LARGEST_EXCESS, deviation - measure.tolerance)
        if excess > 0.0:
            parts.append(Part(measure.name, excess, measure.shown(reading), measure.shown(expected)))
    return parts


def learnt(
    measures: Sequence[Measure], own: Readings, usual: Mapping[str, Usual], peers: Mapping[str, Centre]
) -> dict[str, Usual]:
    """Return what is usual after a window; of what was never learnt, from what peers show on."""
    return {
        measure.name: _before(measure, own, usual, peers).after(own[measure.name], measure.spread)
        for measure in measures
    }


def _before(measure: Measure, own: Readings, usual: Mapping[str, Usual], peers: Mapping[str, Centre]) -> Usual:
    known = usual.get(measure.name)
    if known is not None:
        return known
    seen = peers.get(measure.name)
    return Usual(centre=own[measure.name] if seen is None else seen.centre, spread=measure.spread / _MEAN_TO_SIGMA)
