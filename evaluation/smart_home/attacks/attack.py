"""The shape of an attack, and what an attacker may know of the others when it sends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update


@dataclass(frozen=True)
class Knowledge:
    """What a hostile device knows when it sends: all that there is, the strongest case.

    Attributes:
        device: which one it is.
        turn: the round, from 1.
        honest: what the honest devices send in this round.
        allies: what the training of each hostile device of this round yielded, its own too.
        history: what every device sent in each earlier round, oldest first.
    """

    device: int = 0
    turn: int = 1
    honest: Sequence[Update] = ()
    allies: Mapping[int, Update] = field(default_factory=dict)
    history: Sequence[Mapping[int, Update]] = ()


ALONE = Knowledge()
"""Of a device that knows nothing of the others."""


class Attack(Protocol):
    """A hostile device's two chances: what it trains on, and what it sends."""

    @property
    def name(self) -> str:
        """A word for reports."""
        ...

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return what the device trains on instead of its own shard."""
        ...

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return what the device sends instead of what its training yielded; ``update`` stays as it is.

        Raises:
            ValueError: the attack is made of what others send, and nothing of it is known.
        """
        ...
