"""The aggregator's noise: clip each update, add them up, add noise to the sum once, and divide."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.privacy.clipping import as_array, clipping, norm_of
from adapters.privacy.drawing import require_drawn
from adapters.privacy.grids import Grid
from adapters.privacy.noise import Noise
from controlplane.contracts.privacy import PrivacyTerms


def noised_mean(
    updates: Sequence[Mapping[str, Any]],
    terms: PrivacyTerms,
    generator: Noise | None = None,
    *,
    sampled: float | None = None,
    expected: float | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return the mean of clipped updates with noise on their sum (McMahan, Ramage, Talwar and Zhang 2018).

    Each update has one voice: claimed examples would let one move the sum by more than the clip norm. Each is brought
    to the grid before they are added up, so that the sum is one of whole numbers.

    Args:
        updates: of the same names and shapes; tensors or arrays of floating point. Neither how many there are is
            hidden nor whose: both have to be settled without looking at any.
        terms: what to do.
        generator: draws the noise; none for one that is seeded by the operating system.
        sampled: the probability with which each device was drawn, by `drawn`; none where none was.
        expected: how many are drawn on average. The sum is divided by it, for how many were tells who was; needed where
            the terms have a sampling.

    Returns:
        float64 arrays by name.

    Raises:
        ValueError: there is no update, one does not fit the others or is not finite, there are more values than noise
            is exact for, or the terms are for fewer devices than were used.
    """
    if not updates:
        raise ValueError("there is no update to add noise to")
    require_drawn(terms, sampled)
    if sampled is not None and (expected is None or not expected > 0.0):
        raise ValueError("where devices are drawn, how many were tells who was: name how many are expected")
    noise = Noise() if generator is None else generator
    grid = Grid.of(terms)
    shapes = {name: np.shape(value) for name, value in updates[0].items()}
    grid.require_exact(sum(int(np.prod(shape)) for shape in shapes.values()), terms)
    sums = {name: np.zeros(shape, dtype=np.int64) for name, shape in shapes.items()}
    for update in updates:
        arrays = {name: as_array(name, value) for name, value in update.items()}
        if {name: array.shape for name, array in arrays.items()} != shapes:
            raise ValueError("an update has other tensors than the others")
        scale = clipping(norm_of(arrays), terms.clip_norm) / grid.step
        for name, array in arrays.items():
            sums[name] += np.trunc(array.astype(np.float64) * scale).astype(np.int64)
    return {name: _noised(sums[name], grid, noise) / (expected or len(updates)) for name in sorted(sums)}


def _noised(steps: NDArray[np.int64], grid: Grid, noise: Noise) -> NDArray[np.float64]:
    drawn = noise.gaussian(grid.deviation, steps.size).reshape(steps.shape)
    return (steps + drawn).astype(np.float64) * grid.step
