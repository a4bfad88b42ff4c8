"""A cell: one federation of the comparison, and the ones that it is held against."""

from math import inf
from typing import Annotated

from pydantic import Field

from controlplane.contracts.base import StrictModel

CLEAN = "none"
"""The attack of a cell in which nobody attacks."""

PLAIN = "averaging"
"""The defence that averages whatever comes."""

NATURAL = "natural"
"""A skew for command lines and files: of data as they came about."""

Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,47}$")]


class Cell(StrictModel):
    """One federation: who learns what, who attacks how, and who is on guard.

    Attributes:
        task: its name.
        attack: what hostile devices do; ``none`` for nobody.
        defence: what aggregates; ``averaging`` for plain averaging.
        skew: parameter of the Dirichlet distribution of devices' data; the smaller, the less alike they are. None for
            data as they came about, where a task has such.
        share: of devices that are hostile, in [0, 0.5); 0 where nobody attacks.
        seed: fixes the task, who is hostile, and training.
    """

    task: Word
    attack: Word
    defence: Word
    skew: float | None = Field(gt=0.0)
    share: float = Field(ge=0.0, lt=0.5)
    seed: int = Field(ge=0)

    def __str__(self) -> str:
        return f"{self.task}, {self.attack}, {self.defence}, {self.spread}, {self.share:.0%}, seed {self.seed}"

    @property
    def spread(self) -> str:
        """Its skew in words."""
        return "data as they came about" if self.skew is None else f"Dirichlet {self.skew:g}"

    @property
    def stem(self) -> str:
        """A name for its file."""
        skew = NATURAL if self.skew is None else f"{self.skew:g}"
        return f"{self.task}-{self.attack}-{self.defence}-{skew}-{self.share:g}-{self.seed}"

    @property
    def field(self) -> tuple[str, float, int]:
        """What cells must have in common to share what honest devices train; sorts the least skewed first."""
        return self.task, -inf if self.skew is None else -self.skew, self.seed

    @property
    def is_clean(self) -> bool:
        """Whether nobody attacks."""
        return self.attack == CLEAN

    @property
    def averaged(self) -> "Cell":
        """The same under plain averaging: it tells whether the attack does harm."""
        return self.model_copy(update={"defence": PLAIN})

    @property
    def unharmed(self) -> "Cell":
        """Plain averaging where nobody attacks: what accuracy is held against."""
        return self.averaged.model_copy(update={"attack": CLEAN, "share": 0.0})
