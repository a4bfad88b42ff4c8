"""Updates as vectors, for attacks that are geometry."""

from collections.abc import Sequence

import torch
from torch import Tensor

from evaluation.smart_home.training import Update


def flat(update: Update) -> Tensor:
    """All values of an update, tensors in the order of their names, [values]."""
    return torch.cat([update[name].reshape(-1) for name in sorted(update)])


def shaped(vector: Tensor, like: Update) -> Update:
    """A vector [values] as an update of the names and shapes of ``like``; the inverse of `flat`."""
    names = sorted(like)
    parts = torch.split(vector, [like[name].numel() for name in names])
    return {name: part.reshape(like[name].shape) for name, part in zip(names, parts, strict=True)}


def stacked(updates: Sequence[Update]) -> Tensor:
    """Updates as rows, [updates, values].

    Raises:
        ValueError: there is none.
    """
    if not updates:
        raise ValueError("an attack that is made of others' updates needs to know some")
    return torch.stack([flat(update) for update in updates])


def jittered(vector: Tensor, share: float, *seed: int) -> Tensor:
    """``vector`` with a random one beside it whose length is ``share`` of its own.

    The cosine to ``vector`` is then about ``(1 + share^2)^-1/2``, and between two such about ``1 / (1 + share^2)``.

    Args:
        vector: [values].
        share: at least 0.
        seed: what fixes the draw.
    """
    generator = torch.Generator().manual_seed(_mixed(seed))
    noise = torch.randn(vector.shape, generator=generator)
    length: Tensor = share * vector.norm() / noise.norm()
    return vector + length * noise


def _mixed(seed: Sequence[int]) -> int:
    mixed = 17
    for part in seed:
        mixed = (mixed * 1_000_003 + part + 1) % 2**31
    return mixed
