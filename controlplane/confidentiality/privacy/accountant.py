"""What Gaussian noise costs when it is composed, as ``dp-accounting`` has it.

That library is loaded when something is computed for the first time, and nowhere else.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from controlplane.contracts.privacy import MAX_EPSILON, Mechanism

LOCAL_SENSITIVITY = 2.0
"""Whatever a device holds, its clipped update lies within the clip norm of nothing, and so within twice that of what it
would be with other data: what the aggregator sees of one device has to hide that whole difference."""

CENTRAL_SENSITIVITY = 1.0
"""A sum of clipped updates moves by the clip norm at most when one device's update becomes nothing."""

_SENSITIVITY = {"local": LOCAL_SENSITIVITY, "central": CENTRAL_SENSITIVITY}

RESERVED = 2.0**-10
"""This part of delta is kept back: noise is a discrete Gaussian of 1024 steps or more to the standard deviation, drawn
from a table, and not a continuous one. A sum over the grid stands for an integral, which moves delta by some millionths
of itself (along one axis, where it is most); tables are off by 2**-40 of delta for an update, which is within the rest
while the number of updates times (1 + exp(epsilon)) is below a hundred million."""

MAX_REMEMBERED = 4096

Counts = Mapping[Mechanism, int]
_Key = tuple[tuple[tuple[Mechanism, int], ...], float]


class AccountantMissing(Exception):  # noqa: N818 - a state, as callers see it
    """What composes cannot be loaded; the message says what to install."""


@cache
def _library() -> Any:
    try:
        import dp_accounting  # type: ignore[import-untyped]
        from dp_accounting import pld

        dp_accounting.get_epsilon_gaussian  # noqa: B018 - older ones lack it
    except (ImportError, AttributeError) as error:
        raise AccountantMissing(
            f"privacy budgets need dp-accounting 0.6 ({error}): pip install 'ztfm[privacy]'"
        ) from None
    return dp_accounting, pld


class Accountant:
    """Composes what was charged, and remembers what it computed. Safe to use from threads.

    Where nothing is drawn, noise composes to noise again, and its cost is known exactly (Balle and Wang 2018). Where
    something is, privacy loss distributions are composed, which are rounded to what is worse: an upper bound
    (Doroshenko et al. 2022).

    Args:
        most: results that are remembered.
    """

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._known: OrderedDict[_Key, float] = OrderedDict()

    def known(self, counts: Counts, delta: float) -> float | None:
        """Return the epsilon of ``counts`` at ``delta`` where it was computed before; else none, at once."""
        if not any(counts.values()):
            return 0.0
        return self._known.get(_key(counts, delta))

    def epsilon(self, counts: Counts, delta: float) -> float:
        """Return the epsilon for which all that was charged is (epsilon, ``delta``)-differentially private together.

        It takes from milliseconds to seconds when it was not computed before.

        Args:
            counts: how often what was charged.
            delta: of the guarantee, `RESERVED` included.

        Returns:
            At most `MAX_EPSILON`, which stands for more and for no guarantee at all.

        Raises:
            AccountantMissing: the library is not installed, or too old.
        """
        found = self.known(counts, delta)
        if found is not None:
            return found
        found = _composed(counts, delta * (1.0 - RESERVED))
        self._known[_key(counts, delta)] = found
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return found


def _key(counts: Counts, delta: float) -> _Key:
    return tuple(sorted((mechanism, count) for mechanism, count in counts.items() if count > 0)), delta


def _composed(counts: Counts, delta: float) -> float:
    events, pld = _library()
    if all(mechanism.sampling >= 1.0 for mechanism in counts):
        shares = (count * (_SENSITIVITY[one.mode] / one.noise_multiplier) ** 2 for one, count in counts.items())
        return _bounded(events.get_epsilon_gaussian(1.0 / math.sqrt(math.fsum(shares)), delta))
    accountant = pld.PLDAccountant()
    for mechanism, count in sorted(counts.items()):
        if count > 0:
            accountant.compose(event_of(mechanism), count)
    return _bounded(accountant.get_epsilon(delta))


def _bounded(epsilon: float) -> float:
    return min(float(epsilon), MAX_EPSILON) if math.isfinite(epsilon) else MAX_EPSILON


def event_of(mechanism: Mechanism) -> Any:
    """Return a mechanism as the library's ``DpEvent``.

    Raises:
        AccountantMissing: the library is not installed, or too old.
    """
    events, _ = _library()
    gaussian = events.GaussianDpEvent(mechanism.noise_multiplier / _SENSITIVITY[mechanism.mode])
    if mechanism.sampling >= 1.0:
        return gaussian
    return events.PoissonSampledDpEvent(mechanism.sampling, gaussian)


def affordable(fits: Callable[[int], bool], most: int = 1_000_000) -> int:
    """Return the largest number up to ``most`` for which ``fits`` holds; 0 for none.

    Args:
        fits: holds for all numbers below one for which it holds.
        most: no larger one is tried.
    """
    if not fits(1):
        return 0
    low, high = 1, 2
    while high <= most and fits(high):
        low, high = high, high * 2
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
