"""The kit's own tiny model, and training that is known beforehand: so the kit can tell whose updates went in.

An honest client moves half the way to a target, with noise that follows from its number and from how often it trained
before. The model after a round is then known to the last digit that matters, for any set of clients in it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

SHAPES: Mapping[str, tuple[int, ...]] = {"encoder.bias": (16,), "encoder.weight": (16, 8), "head.weight": (4, 16)}
EXAMPLES = 20
"""Training examples that every honest client claims."""

TOLERANCE = 0.005
"""How far from what is expected a model may be, as a share of the way that it went: one strange update among six moves
it by more than 0.01, half-precision numbers on the way by less than 0.001."""

_RATE = 0.5
_NOISE = 0.3

Entry = tuple[int, int]
"""A client's number, and how often it trained before."""

EVEN: Mapping[int, float] = MappingProxyType({})
"""Everybody counts once."""


def initial() -> dict[str, Tensor]:
    """Return the weights that each job begins with: zeros."""
    return {name: torch.zeros(shape) for name, shape in SHAPES.items()}


def target() -> dict[str, Tensor]:
    """Return what everybody trains towards: plus or minus one."""
    source = torch.Generator().manual_seed(2)
    return {name: 2.0 * torch.randint(0, 2, shape, generator=source).float() - 1.0 for name, shape in SHAPES.items()}


def reference_update(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what training on data without noise makes of some weights, as trained minus received.

    Args:
        state: the weights.
    """
    return {name: _RATE * (wanted - state[name].float()) for name, wanted in sorted(target().items())}


def honest_update(state: Mapping[str, Tensor], number: int, turn: int) -> dict[str, Tensor]:
    """Return what an honest client makes of some weights, as trained minus received.

    Args:
        state: the weights.
        number: of the client.
        turn: how often it trained before.
    """
    step = {name: _RATE * (wanted - state[name].float()) for name, wanted in target().items()}
    size = torch.cat([part.reshape(-1) for part in step.values()]).square().mean().sqrt()
    source = torch.Generator().manual_seed(10_007 * (turn + 1) + number)
    return {
        name: part + _NOISE * size * torch.randn(part.shape, generator=source) for name, part in sorted(step.items())
    }


def after(rounds: Iterable[Sequence[Entry]], shares: Mapping[int, float] = EVEN) -> dict[str, Tensor]:
    """Return the weights after rounds in which the mean of these clients' honest updates went in.

    Args:
        rounds: whose updates, round by round.
        shares: by number, how many times as much as others a client counts; who is not in it counts once.
    """
    state = initial()
    for entries in rounds:
        updates = [honest_update(state, number, turn) for number, turn in entries]
        if updates:
            weights = torch.tensor([shares.get(number, 1.0) for number, _ in entries])
            weights /= weights.sum()
            state = {
                name: state[name] + torch.einsum("i,i...->...", weights, torch.stack([one[name] for one in updates]))
                for name in state
            }
    return state


def distance(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Return how far weights are from what is expected, as a share of the way from the initial ones.

    It is infinite where they have another form, or a value that is not finite.
    """
    if {name: tuple(tensor.shape) for name, tensor in found.items()} != dict(SHAPES):
        return float("inf")
    beside, way = _flat(found) - _flat(expected), _flat(expected) - _flat(initial())
    share = float(beside.norm() / way.norm().clamp(min=1e-9))
    return share if math.isfinite(share) else float("inf")


def progress(found: Mapping[str, Tensor]) -> float:
    """Return which share of the way to the target weights have gone, 0 to 1; below 0 when they went back."""
    way, gone = _flat(target()), _flat(found)
    return float((gone @ way) / (way @ way))


def _flat(state: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([state[name].double().reshape(-1) for name in SHAPES])
