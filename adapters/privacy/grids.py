"""The grid that clipped values and noise lie on."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from adapters.privacy.noise import Noise
from adapters.privacy.tables import SHARE_ERROR, TAIL_SHARE, reach
from controlplane.contracts.privacy import PrivacyTerms

STEPS = 1024
"""The standard deviation of noise is so many steps at least, and fewer than twice as many."""

LEAST_NOISE = 2.0**-30
"""With a smaller multiplier whole numbers of steps would not hold what is clipped to."""

INEXACT = 2.0**-40
"""By so much of delta what is drawn for an update may differ from the discrete Gaussian: for all updates together that
stays within what the accountant keeps back of delta (`confidentiality.privacy.accountant.RESERVED`)."""


@dataclass(frozen=True)
class Grid:
    """Multiples of a power of two, which floating point holds as they are.

    Attributes:
        step: distance of two neighbours.
        deviation: of the noise, in steps.
    """

    step: float
    deviation: float

    @classmethod
    def of(cls, terms: PrivacyTerms) -> Self:
        """Return the grid for the noise of ``terms``.

        Raises:
            ValueError: the noise is too small or too large for floating point.
        """
        if terms.noise_multiplier < LEAST_NOISE:
            raise ValueError("noise of such a size cannot be added in floating point")
        deviation = terms.noise_multiplier * terms.clip_norm
        step = 2.0 ** (math.floor(math.log2(deviation)) - int(math.log2(STEPS)))
        if not 1e-30 < step < 1e30:
            raise ValueError("noise of such a size cannot be added in floating point")
        return cls(step, deviation / step)

    def require_exact(self, count: int, terms: PrivacyTerms) -> None:
        """Check that so many values can be noised without spending what ``terms`` do not say.

        Raises:
            ValueError: their shares are off by more together than `INEXACT` of delta.
        """
        off = count * ((2 * reach(self.deviation) + 1) * SHARE_ERROR + TAIL_SHARE)
        if off > terms.delta * INEXACT:
            raise ValueError(f"{count} values are more than noise is exact for at a delta of {terms.delta:g}")

    def noised(self, values: NDArray[Any], scale: float, noise: Noise) -> NDArray[np.float64]:
        """Return values scaled, brought to the grid towards zero, with noise added.

        Towards zero no value grows, so neither does the norm that was clipped to.

        Args:
            values: of any shape, finite.
            scale: that they are multiplied with.
            noise: is drawn from.

        Returns:
            float64 array of the same shape.
        """
        flat = np.asarray(values, dtype=np.float64).reshape(-1)
        steps = np.trunc(flat * (scale / self.step)).astype(np.int64)
        steps += noise.gaussian(self.deviation, flat.size)
        return (steps.astype(np.float64) * self.step).reshape(np.shape(values))
