"""Trust: the lower confidence bound of the share of a subject's observations that were as its peers' are.

Observations are counted with exponential forgetting, so that a subject that behaves again is trusted again. The bound
is Wilson's (Journal of the American Statistical Association 22, 1927): it needs no large numbers, and few
observations alone are no trust.
"""

from math import sqrt

from controlplane.contracts.behaviour import BehaviourTerms


def lower_bound(conforming: float, deviating: float, quantile: float) -> float:
    """Wilson's lower bound of the conforming share, in [0, 1]; 0 without observations.

    Args:
        conforming: discounted count, not negative.
        deviating: the same of the others.
        quantile: of the standard normal distribution; the larger, the more observations trust needs.
    """
    count = conforming + deviating
    if count <= 0.0:
        return 0.0
    square = quantile * quantile
    spread = quantile * sqrt(conforming * (deviating / count) + square / 4.0)
    return min(1.0, max(0.0, (conforming + square / 2.0 - spread) / (count + square)))


def counted(
    conforming: float, deviating: float, p_value: float, terms: BehaviourTerms, worth: float = 1.0
) -> tuple[float, float]:
    """Return the counts after one more observation, which deviates at the largest level that is bet on, or below.

    Args:
        conforming: discounted count before it.
        deviating: the same of the others.
        p_value: of the observation.
        terms: levels, and how fast is forgotten.
        worth: how many observations it counts as, in adding and in forgetting; below 1 for what comes often.
    """
    deviates = p_value <= max(terms.levels)
    kept = terms.forgetting**worth
    conforming, deviating = kept * conforming, kept * deviating
    return (conforming, deviating + worth) if deviates else (conforming + worth, deviating)
