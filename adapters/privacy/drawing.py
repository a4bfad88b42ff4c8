"""Draw what takes part by a coin each (Poisson sampling), which is what a plan's ``sampling`` stands for."""

import numpy as np
from numpy.typing import NDArray

from adapters.privacy.noise import Noise
from controlplane.contracts.privacy import PrivacyTerms


def drawn(count: int, sampling: float | None, generator: Noise | None = None) -> NDArray[np.bool_]:
    """Return which of ``count`` examples, or devices, take part.

    Each does with the probability ``sampling``, by itself and afresh each time. That is cheaper in epsilon only as long
    as nobody is told who was drawn; taking so many at random, or going through all of them in turn, is something else.

    Args:
        count: how many there are.
        sampling: of the terms; none has all of them take part.
        generator: draws; none for one that is seeded by the operating system.

    Returns:
        bool array of ``count``.
    """
    if sampling is None or sampling >= 1.0:
        return np.ones(count, dtype=np.bool_)
    return (Noise() if generator is None else generator).shares(count) < sampling


def require_drawn(terms: PrivacyTerms, sampled: float | None) -> None:
    """Check that as little was drawn as the terms were charged for; whoever draws nothing pays for all.

    Args:
        terms: what is to be done.
        sampled: the probability with which each was drawn; none where nothing was.

    Raises:
        ValueError: the terms are for fewer than were used.
    """
    if terms.sampling is None or terms.sampling >= 1.0:
        return
    if sampled is None or not 0.0 < sampled <= terms.sampling:
        raise ValueError(
            f"the plan is charged as if each were drawn with probability {terms.sampling:g}, which was not done; "
            "nothing is noised: draw with adapters.privacy.drawn and say so, or leave sampling out of the plan"
        )
