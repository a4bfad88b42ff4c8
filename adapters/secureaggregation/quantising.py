"""From an update's values to whole numbers that can be added modulo 2^32 or 2^64, and back to the weighted mean.

No sum can overflow: the step is so large that the weights and values of all clients, each at its bound, stay within
half the modulus. What is lost is a rounding of each client's values, bounded by `Scale.error`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.secureaggregation.errors import Aborted
from adapters.secureaggregation.masks import Bits, Words

FEWEST_STEPS = 128
"""From 0 to the bound; fewer say too little."""

_EXACT = 2**53


@dataclass(frozen=True)
class Scale:
    """How values become whole numbers; the same for all clients of a sum.

    Attributes:
        clip: values beyond this size are cut to it.
        clients: that take part, at most.
        bits: of the modulus.
        most_weight: that a client's values may have.
    """

    clip: float
    clients: int
    bits: Bits = 32
    most_weight: int = 1

    def __post_init__(self) -> None:
        """Refuse a scale that is too coarse to be of use.

        Raises:
            ValueError: it is, or a bound is not positive.
        """
        if not (np.isfinite(self.clip) and self.clip > 0.0 and self.clients >= 2 and self.most_weight >= 1):
            raise ValueError("a scale needs a positive bound, two clients and a positive weight")
        if self.steps < FEWEST_STEPS:
            raise ValueError(
                f"{self.clients} clients of weight {self.most_weight} leave {self.steps} steps of {self.bits} bits: use"
                " 64 bits, or smaller weights"
            )

    @property
    def steps(self) -> int:
        """Steps from 0 to the bound, at weight 1."""
        largest: int = 2 ** (self.bits - 1) - 1
        return min(largest // (self.clients * self.most_weight), _EXACT // self.most_weight)

    @property
    def step(self) -> float:
        """Of weight 1, in units of the values."""
        return self.clip / self.steps

    def error(self, count: int, total_weight: int, *, stochastic: bool = False) -> float:
        """Return how far each value of the mean is off at most, values beyond the bound not counted.

        Args:
            count: clients in the sum.
            total_weight: of these.
            stochastic: rounding was.
        """
        rounding = count * self.step * (1.0 if stochastic else 0.5) / total_weight
        return rounding + 4.0 * float(np.finfo(np.float64).eps) * self.clip

    def encode(
        self, values: NDArray[np.floating], weight: int = 1, generator: np.random.Generator | None = None
    ) -> Words:
        """Return the words that stand for values with a weight, (length + 1,); the last is the weight.

        Args:
            values: (length,).
            weight: of them.
            generator: rounds up or down by chance, so that the mean is right in the mean; none rounds to the nearest.

        Raises:
            ValueError: a value is not finite, or the weight not within its bound.
        """
        if not 1 <= weight <= self.most_weight:
            raise ValueError(f"a weight is within 1 and {self.most_weight}, and this is {weight}")
        if not np.isfinite(values).all():
            raise ValueError("a value is not finite")
        scaled = np.clip(np.asarray(values, dtype=np.float64) / self.clip, -1.0, 1.0)
        scaled *= float(weight * self.steps)
        if generator is None:
            np.rint(scaled, out=scaled)
        else:
            scaled += generator.random(len(scaled))
            np.floor(scaled, out=scaled)
            # At the bound a random number that rounds to 1 would step over it.
            np.clip(scaled, -float(weight * self.steps), float(weight * self.steps), out=scaled)
        words = np.empty(len(scaled) + 1, dtype=f"<u{self.bits // 8}")
        words[:-1] = scaled.astype(np.int64).view(np.uint64).astype(words.dtype)
        words[-1] = weight
        return words

    def decode(self, total: Words, count: int) -> tuple[NDArray[np.float64], int]:
        """Return the weighted mean, (length,), and the sum of the weights.

        Args:
            total: (length + 1,), the sum of what ``count`` clients encoded.
            count: of clients in it.

        Raises:
            Aborted: ``implausible``: a client that keeps to its bounds cannot have brought this about.
        """
        weight = int(total[-1])
        if not count <= weight <= count * self.most_weight:
            raise Aborted("implausible", f"the weights of {count} clients add up to {weight}, which they cannot")
        signed = total[:-1].view(f"<i{self.bits // 8}").astype(np.float64)
        if np.abs(signed).max(initial=0.0) > float(weight * self.steps):
            raise Aborted("implausible", "a value of the sum is larger than its clients' bounds allow")
        signed *= self.step / weight
        return signed, weight
