"""A shard and updates, made up."""

import torch

from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update

SHARD = [Sentence("turn on the lamp", 0, 0), Sentence("start the mower", 1, 1), Sentence("what is the time", 2, 2)]
UPDATE = {"weight": torch.tensor([[1.0, -2.0]]), "bias": torch.tensor([0.5])}


def updates(count: int, seed: int = 0, values: int = 40) -> list[Update]:
    """Random updates around a common direction, as honest devices' are."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(values, 2, generator=generator)
    return [
        {
            "weight": common + torch.randn(values, 2, generator=generator),
            "bias": torch.randn(3, generator=generator),
        }
        for _ in range(count)
    ]
