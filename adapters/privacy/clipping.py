"""Clip an update to a norm and add Gaussian noise to it, of torch tensors or of NumPy arrays."""

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.privacy.drawing import require_drawn
from adapters.privacy.grids import Grid
from adapters.privacy.noise import Noise
from controlplane.contracts.privacy import PrivacyTerms

_ROUNDING = 2.0**-24
"""By so much less is clipped to: the squares of a billion values, summed in float64, are off by less (Higham 2002)."""


def clip_and_noise(
    update: Mapping[str, object],
    terms: PrivacyTerms,
    generator: Noise | None = None,
    *,
    sampled: float | None = None,
) -> dict[str, object]:
    """Return an update scaled down to ``terms.clip_norm``, with noise in each value.

    Its standard deviation is ``terms.noise_multiplier * terms.clip_norm``. It is a discrete Gaussian on a grid of at
    least 1024 steps to that (Canonne, Kamath and Steinke 2020), drawn by `Noise`; epsilon is computed for the
    continuous one, with a part of delta kept back for the difference. Values of 16 bits are rounded once more
    afterwards, which tells nothing.

    Args:
        update: by name, trained minus received: torch tensors or NumPy arrays of floating point, of any shape; the norm
            is that of all of them together (L2).
        terms: what to do.
        generator: draws the noise; none for one that is seeded by the operating system, which is what devices use.
        sampled: the probability with which each example was drawn, by `drawn`, before the update was made from those
            that were and from nothing else; none where all were used.

    Returns:
        The same names, shapes and types; tensors lie on the CPU.

    Raises:
        ValueError: a value is no floating-point tensor or not finite, there is none, there are more values than noise
            is exact for, or the terms are for fewer examples than were used.
    """
    require_drawn(terms, sampled)
    noise = Noise() if generator is None else generator
    grid = Grid.of(terms)
    arrays = {name: as_array(name, value) for name, value in update.items()}
    grid.require_exact(sum(array.size for array in arrays.values()), terms)
    scale = clipping(norm_of(arrays), terms.clip_norm)
    return {name: _like(update[name], grid.noised(array, scale, noise)) for name, array in sorted(arrays.items())}


def norm_of(arrays: Mapping[str, NDArray[Any]]) -> float:
    """Return the L2 norm of all arrays together.

    Raises:
        ValueError: it is not finite, or there is no array.
    """
    if not arrays:
        raise ValueError("an update without tensors cannot be noised")
    norm = math.sqrt(math.fsum(float(np.vdot(flat, flat)) for flat in map(_flat, arrays.values())))
    if not math.isfinite(norm):
        raise ValueError("an update whose norm is not finite cannot be clipped")
    return norm


def clipping(norm: float, most: float) -> float:
    """Return what a vector of a norm is multiplied with, so that its norm is at most ``most``."""
    return 1.0 if norm <= most * (1.0 - _ROUNDING) else most / norm * (1.0 - _ROUNDING)


def _flat(array: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(array, dtype=np.float64).reshape(-1)


def as_array(name: str, value: object) -> NDArray[Any]:
    """Return a tensor or array of floating point as an array.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating):
        return value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor) and value.is_floating_point():
        # NumPy has no bfloat16.
        found: NDArray[Any] = value.detach().cpu().double().numpy()
        return found
    raise ValueError(f"{name!r} is no floating-point tensor, and what is not clipped cannot be noised")


def _like(value: object, noised: NDArray[np.float64]) -> object:
    if isinstance(value, np.ndarray):
        return noised.astype(value.dtype)
    torch = sys.modules["torch"]
    return torch.from_numpy(noised).to(value.dtype)  # type: ignore[attr-defined]
