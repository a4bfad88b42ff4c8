"""Updates of a small made-up model: honest ones agree on a direction, hostile ones go against it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from adapters.guard import Guard
from adapters.member import Member
from adapters.pytorch import GuardedRound
from controlplane.contracts.behaviour import BehaviourState
from evaluation.beyond.world import AGGREGATOR, MODEL, World

SHAPES = {"adapter.weight": (16, 32), "head.weight": (38, 16), "head.bias": (38,)}
SPREAD = 0.5
FLIPPED = -1.0
EXAMPLES = 64


def zeros() -> dict[str, Tensor]:
    """The state before the first round."""
    return {name: torch.zeros(shape) for name, shape in SHAPES.items()}


def common(turn: int) -> dict[str, Tensor]:
    """What all honest devices of a round have in common: what the server's own examples yield."""
    chance = torch.Generator().manual_seed(turn)
    return {name: torch.randn(shape, generator=chance) / 10.0 for name, shape in SHAPES.items()}


def update(turn: int, device: int, sign: float = 1.0) -> dict[str, Tensor]:
    """What a device sends in a round; a negative ``sign`` turns it around."""
    chance = torch.Generator().manual_seed(1000 * turn + device)
    return {
        name: sign * (tensor + SPREAD / 10.0 * torch.randn(tensor.shape, generator=chance))
        for name, tensor in common(turn).items()
    }


class Federation:
    """Rounds of honest devices, and of one whose updates go the other way.

    Args:
        world: where everybody enrolled.
        members: who takes part; the last one is hostile, or whoever has its key is.
        name: of the aggregator, which is enrolled here.
    """

    def __init__(self, world: World, members: Sequence[Member], name: str) -> None:
        self._members = list(members)
        aggregator = world.staff(name, "aggregator")
        self.guard = Guard(
            aggregator.plane,
            audience=AGGREGATOR,
            model=MODEL,
            issuer=world.url,
            members=[member.id for member in members],
            clock=world.clock,
        )
        self._state = zeros()
        self.state_of_last: BehaviourState | None = None

    def round(self, turn: int) -> bool:
        """Play a round, and return whether the hostile update entered the model."""
        with GuardedRound(self.guard, self._state, self._members) as guarded:
            allowed = {member.id for member in guarded.allowed()}
            last = self._members[-1]
            for number, member in enumerate(self._members):
                if member.id in allowed:
                    guarded.submit(member, update(turn, number, FLIPPED if member is last else 1.0), EXAMPLES)
            self._state = guarded.aggregate(common(turn))
            gated = guarded.gated
        ruling = None if gated is None else next((one for one in gated.rulings if one.subject == last.id), None)
        if ruling is not None and ruling.verdict is not None:
            self.state_of_last = ruling.verdict.state
        return ruling is not None and ruling.accepted
