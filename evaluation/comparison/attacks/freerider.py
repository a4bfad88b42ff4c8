"""Takes the model and gives nothing: noise that looks like an update (Lin, Du and Liu, arXiv 1911.12560)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from evaluation.comparison.attacks.noise import drawn
from evaluation.smart_home.attacks.attack import ALONE, Knowledge
from evaluation.smart_home.attacks.vectors import flat
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update

Kind = Literal["shaped", "zero"]


@dataclass(frozen=True)
class FreeRider:
    """Does not train. What its training would have yielded is not read, but for names and shapes.

    Attributes:
        kind: ``shaped`` is noise whose length in each tensor is that of the last global step; ``zero`` is nothing, with
            a little noise on it. Of a first round there is no last step, so both are the latter.
        little: length of a little noise: as a share of the last step's, or in the first round as it is.
    """

    kind: Kind = "shaped"
    little: float = 0.01

    @property
    def name(self) -> str:
        """A word for reports."""
        return "free_rider"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard as it is; what comes of it is not sent."""
        return shard

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return noise."""
        step = last_step(known)
        whole = self.little if step is None else self.little * float(flat(step).norm())
        width = sum(value.numel() for value in update.values())
        sent = {}
        for number, (name, value) in enumerate(sorted(update.items())):
            evenly = whole * (value.numel() / width) ** 0.5
            length = float(step[name].norm()) if step is not None and self.kind == "shaped" else evenly
            noise = drawn(value.numel(), length, known.device, known.turn, number)
            sent[name] = noise.reshape(value.shape)
        return sent


def last_step(known: Knowledge) -> Update | None:
    """The mean of the last round's updates, which is by how the model moved; none in a first round."""
    if not known.history or not known.history[-1]:
        return None
    cohort = list(known.history[-1].values())
    return {name: torch.stack([update[name] for update in cohort]).mean(0) for name in cohort[0]}
