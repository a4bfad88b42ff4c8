"""Small cohorts, made up: three kinds of honest homes, and whoever attacks."""

from collections.abc import Mapping

import torch
from torch import Tensor

from evaluation.comparison.interfaces import Received, Update

STATE = {
    "adapter.up": torch.zeros(30, 4),
    "adapter.down": torch.zeros(4, 30),
    "head.weight": torch.zeros(12, 30),
    "head.bias": torch.zeros(12),
}
KINDS, HONEST, ATTACKER = 3, 12, 12
"""Twelve honest homes of three kinds, whose data differ; then one attacker."""


def like(scale: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Noise of the state's shape."""
    return {name: scale * torch.randn(value.shape, generator=generator) for name, value in STATE.items()}


def added(*updates: Update) -> dict[str, Tensor]:
    """The sum of updates."""
    return {name: torch.stack([update[name] for update in updates]).sum(0) for name in STATE}


def scaled(update: Update, factor: float) -> dict[str, Tensor]:
    """An update times a number."""
    return {name: factor * value for name, value in update.items()}


def honest(turn: int = 1, seed: int = 0, count: int = HONEST) -> dict[int, dict[str, Tensor]]:
    """What honest homes send in a round: what all learn, what their kind learns, and noise of their own."""
    lasting = torch.Generator().manual_seed(seed)
    common = like(1.0, lasting)
    kinds = [like(0.5, lasting) for _ in range(KINDS)]
    passing = torch.Generator().manual_seed(1000 * seed + turn)
    return {device: added(common, kinds[device % KINDS], like(0.4, passing)) for device in range(count)}


def common(seed: int = 0) -> dict[str, Tensor]:
    """What all homes learn."""
    return like(1.0, torch.Generator().manual_seed(seed))


def received(updates: Mapping[int, Update], turn: int = 1, reference: Update | None = None) -> Received:
    """A round in which each device claims thirty examples; the reference is what all learn, where none is named."""
    return Received(turn, STATE, updates, dict.fromkeys(updates, 30), common() if reference is None else reference)


def attacked(sent: Update, turn: int = 1, seed: int = 0) -> Received:
    """A round of honest homes and one attacker who sends this."""
    return received({**honest(turn, seed), ATTACKER: sent}, turn, common(seed))


def flat(update: Update) -> Tensor:
    """An update's values, tensors by name, float64."""
    return torch.cat([update[name].reshape(-1).double() for name in sorted(update)])


def towards(step: Update | None, wanted: Update) -> float:
    """The cosine of a step to an update."""
    assert step is not None
    return float(torch.nn.functional.cosine_similarity(flat(step), flat(wanted), dim=0))
