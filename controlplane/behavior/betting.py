"""Betting against a subject: an e-process that can only become large for who is not like its peers.

A step bets part of the wealth that the p-value is small, at odds that are fair if it is one. A fair game makes nobody
rich: if each step's p-value falls to or below each level ``l`` with a chance of ``l`` at most, given the past, then
each step's e-value has expectation 1 at most, the wealth is a nonnegative supermartingale that starts at 1, and by
Ville's inequality the chance that it ever reaches ``1 / alpha`` is ``alpha`` at most, however often one looks
(Ville: Étude critique de la notion de collectif, 1939; Vovk and Wang: E-values, Annals of Statistics 49, 2021; Ramdas
et al.: Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38, 2023).

A subject may turn after a long good time. So only a share of the stake, the hazard, is brought into play in each step:
the wealth is the mean over all times of a change of what betting from then on would have made, with a geometric
prior (a mixture as in Shin, Ramdas, Rinaldo: E-detectors, New England Journal of Statistics in Data Science, 2023,
whose sums promise a long time to the first false alarm; this mean promises that most subjects never see one).
After a horizon the stake is new; the promise holds within one.
"""

from collections.abc import Mapping, Sequence

from controlplane.contracts.behaviour import LARGEST_E_VALUE, BehaviourTerms, Channel, Wealth

FRESH = Wealth()


def e_value(p_value: float, levels: Sequence[float], stake: float, company: float = 0.0) -> float:
    """What a wealth of 1 becomes when the share ``stake`` of it is bet, evenly on all levels.

    A bet on level ``l`` pays ``1 / l`` if the p-value is ``l`` or less, and nothing otherwise. If that has a chance of
    ``l`` at most, the expectation of all this is 1 at most.

    Args:
        p_value: in (0, 1].
        levels: each in (0, 1), at least one.
        stake: in (0, 1).
        company: the chance that somebody else is why the p-value is small; a bet pays so much less
            (`controlplane.behavior.groups`).
    """
    paid = sum(1.0 / (level + company * (1.0 - level)) for level in levels if p_value <= level)
    return 1.0 - stake + stake * paid / len(levels)


def after(wealth: Wealth, p_value: float, terms: BehaviourTerms, company: float = 0.0) -> Wealth:
    """Return the wealth after one more step; a horizon that is over starts anew first.

    Wealth is cut at the largest e-value, which keeps it a supermartingale.
    """
    before = FRESH if wealth.steps >= terms.horizon else wealth
    entering = terms.hazard * before.waiting
    grown = e_value(p_value, terms.levels, terms.stake, company) * (before.active + entering)
    waiting = max(0.0, before.waiting - entering)
    return Wealth(active=min(LARGEST_E_VALUE, grown), waiting=waiting, steps=before.steps + 1)


def value(wealth: Wealth) -> float:
    """The evidence that ``wealth`` is: what was won, and the stake that was not bet yet."""
    return min(LARGEST_E_VALUE, wealth.active + wealth.waiting)


def combined(wealth: Mapping[Channel, Wealth], weights: Mapping[Channel, float]) -> float:
    """The evidence over all channels: a weighted mean of e-processes is one, whatever they have to do with one another.

    Args:
        wealth: by channel; one in which nothing was seen stands at 1.
        weights: of all channels; they add up to 1.
    """
    return min(LARGEST_E_VALUE, sum(weight * value(wealth.get(name, FRESH)) for name, weight in weights.items()))
