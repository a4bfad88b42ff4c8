"""Do again what an aggregator did: from the weights before and the updates to the weights after, bit for bit.

The order of operations is fixed, so that on one machine the same updates always give the same weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from adapters.aggregation import aggregate
from adapters.rollback.manifest import Recipe
from adapters.screening import Manifest, update_digest

Weights = Mapping[str, Tensor]


def replay(recipe: Recipe, before: Weights, updates: Sequence[Weights], weights: Sequence[int]) -> dict[str, Tensor]:
    """Return the weights after a round.

    Args:
        recipe: how the updates moved them.
        before: the weights that the round began with, floating-point tensors on the CPU.
        updates: in the order in which they were aggregated, each with the names, shapes and dtypes of ``before``.
        weights: of the updates.

    Returns:
        What was before, when there is no update, or none that weighs anything.

    Raises:
        ValueError: the recipe cannot be followed with tensors of this type.
    """
    if not sum(weights):
        return dict(before)
    with _threads(recipe.threads):
        if recipe.arithmetic == "updates":
            return moved(before, aggregate(recipe.method, updates, weights), recipe.server_rate)
        return _averaged(recipe, before, updates, weights)


def moved(before: Weights, step: Weights, rate: float = 1.0) -> dict[str, Tensor]:
    """Return ``before`` moved by ``rate`` times ``step``, computed in float64 and rounded once to the type of before.

    What ``step`` lacks stays as it is.
    """
    return {
        name: (tensor.double() + rate * step[name].double()).to(tensor.dtype) if name in step else tensor
        for name, tensor in before.items()
    }


def reproducing(
    recipes: Sequence[Recipe], before: Weights, after: Weights, updates: Sequence[Weights], weights: Sequence[int]
) -> Recipe | None:
    """Return the first recipe that gives ``after`` bit for bit, with torch's threads as they are, or none.

    Args:
        recipes: that may have been followed.
        before: as for `replay`.
        after: the weights that were come to.
        updates: as for `replay`.
        weights: as for `replay`.
    """
    wanted = digest_of_weights(after)
    for recipe in recipes:
        tried = recipe.model_copy(update={"threads": torch.get_num_threads()})
        try:
            found = replay(tried, before, updates, weights)
        except ValueError:
            continue
        if digest_of_weights(found) == wanted:
            return tried
    return None


def digest_of_weights(weights: Weights) -> str:
    """Return the canonical digest of weights, as rounds name it."""
    return update_digest(weights, Manifest.of(weights))


def _averaged(recipe: Recipe, before: Weights, updates: Sequence[Weights], weights: Sequence[int]) -> dict[str, Tensor]:
    """Return what Flower's `aggregate_arrayrecords` makes of the members' weights, and `FedAvgM` without momentum.

    NumPy computes it, as there: it rounds a half-precision tensor's factors where torch does not.
    """
    total = sum(weights)
    factors = [weight / total for weight in weights]
    models = _models(recipe, before, updates, weights)
    after = {}
    for name, tensor in before.items():
        if tensor.dtype not in _NUMPY:
            raise ValueError(f"{tensor.dtype} has no arithmetic of models")
        average = _average([model[name].numpy() for model in models], factors)
        if recipe.server_rate != 1.0:
            average = np.asarray(tensor.numpy() - recipe.server_rate * (tensor.numpy() - average))
        after[name] = torch.from_numpy(average.astype(tensor.numpy().dtype))
    return after


def _models(recipe: Recipe, before: Weights, updates: Sequence[Weights], weights: Sequence[int]) -> Sequence[Weights]:
    """Return the weights of each member: what was brought together already is all members'."""
    if recipe.method == "mean":
        return [{name: tensor + update[name] for name, tensor in before.items()} for update in updates]
    return [moved(before, aggregate(recipe.method, updates, weights))] * len(updates)


def _average(models: "Sequence[np.ndarray]", factors: Sequence[float]) -> "np.ndarray":
    average = np.asarray(models[0] * factors[0])
    for model, factor in zip(models[1:], factors[1:], strict=True):
        average += model * factor
    return average


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with as many threads as the aggregator did: how a sum is split over them decides its last bits."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_NUMPY = frozenset({torch.float16, torch.float32, torch.float64})
