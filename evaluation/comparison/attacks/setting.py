"""What an attack is made for: one federation of whichever task."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """A federation as its attackers know it before the first round.

    Attributes:
        hostile: who attacks, ascending.
        classes: how many there are.
        target: the class that a backdoor's trigger shall call.
        skew: parameter of the Dirichlet distribution of a device's classes, for attacks whose strength was tuned by it.
        seed: of the federation.
    """

    hostile: tuple[int, ...]
    classes: int
    target: int
    skew: float = 0.5
    seed: int = 0
