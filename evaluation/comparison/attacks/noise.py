"""Random vectors that a few numbers fix."""

from random import Random

import torch
from torch import Tensor


def drawn(values: int, length: float, *seed: int) -> Tensor:
    """A vector of a random direction and a length, [values], float32.

    Args:
        values: at least one.
        length: of the vector.
        seed: what fixes the direction.
    """
    bits = Random(" ".join(map(str, seed))).getrandbits(62)  # noqa: S311 - a draw that a seed repeats, no secret
    noise = torch.randn(values, generator=torch.Generator().manual_seed(bits))
    found: Tensor = length * noise / noise.norm().clamp_min(1e-30)
    return found
