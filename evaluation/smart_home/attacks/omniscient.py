"""Colluders who see what the honest devices send, and all send one vector that is made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from evaluation.smart_home.attacks.attack import ALONE, Knowledge
from evaluation.smart_home.attacks.vectors import jittered, shaped, stacked
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update

Direction = Literal["unit", "std", "sign"]


@dataclass(frozen=True)
class InnerProduct:
    """Inner-product manipulation: the honest mean, turned around (Xie et al., arXiv 1903.03936).

    Attributes:
        scale: the paper's epsilon, length of what is sent over the honest mean's.
        jitter: length of each colluder's own noise, as a share of what it sends, so that no two are identical.
    """

    scale: float
    jitter: float = 0.0

    @property
    def name(self) -> str:
        """A word for reports."""
        return "inner_product"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard as it is."""
        return shard

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return what has a negative inner product with the honest mean."""
        sent = -self.scale * stacked(known.honest).mean(0)
        return shaped(jittered(sent, self.jitter, known.device, known.turn), update)


@dataclass(frozen=True)
class LittleIsEnough:
    """A little is enough: off the honest mean in every coordinate, within its spread (Baruch et al., arXiv 1902.06156).

    The paper goes the same way in all coordinates. That moves the logits of all intents alike and costs this task
    nothing, so here each coordinate goes against its mean.

    Attributes:
        deviations: the paper's z, standard deviations off the mean.
        jitter: as in `InnerProduct`.
    """

    deviations: float
    jitter: float = 0.0

    @property
    def name(self) -> str:
        """A word for reports."""
        return "little_is_enough"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard as it is."""
        return shard

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return the mean, each coordinate so many standard deviations towards zero and beyond."""
        honest = stacked(known.honest)
        mean = honest.mean(0)
        sent = mean - self.deviations * honest.std(0, correction=0) * mean.sign()
        return shaped(jittered(sent, self.jitter, known.device, known.turn), update)


@dataclass(frozen=True)
class MinMax:
    """As far off the honest mean as no two honest devices are apart (Shejwalkar and Houmansadr, NDSS 2021).

    Attributes:
        direction: into which: against the mean, against the standard deviations, or against the mean's signs.
        reach: factor on the way; 1 is the paper's, beyond it the attacker leaves the honest devices' range.
        jitter: as in `InnerProduct`.
    """

    direction: Direction
    reach: float = 1.0
    jitter: float = 0.0

    @property
    def name(self) -> str:
        """A word for reports."""
        return "min_max"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard as it is."""
        return shard

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return the mean moved by ``reach`` times the largest step that keeps to the honest devices' distances."""
        honest = stacked(known.honest)
        away = _away(honest, self.direction)
        sent = honest.mean(0) + self.reach * largest_step(honest, away) * away
        return shaped(jittered(sent, self.jitter, known.device, known.turn), update)


def largest_step(honest: Tensor, away: Tensor) -> float:
    """The largest ``g`` for which ``mean + g * away`` is no farther from any row than two rows are from one another.

    A quadratic equation for each row, where the paper halves an interval.

    Args:
        honest: [updates, values].
        away: [values], not zero.
    """
    rows = honest.double()
    direction = away.double()
    apart = torch.cdist(rows, rows).max().square()
    offsets = rows.mean(0) - rows
    square, linear = direction.square().sum(), offsets @ direction
    constant = offsets.square().sum(1) - apart
    steps = (-linear + (linear.square() - square * constant).clamp_min(0.0).sqrt()) / square
    return float(steps.min())


def _away(honest: Tensor, direction: Direction) -> Tensor:
    mean = honest.mean(0)
    if direction == "unit":
        return torch.nn.functional.normalize(-mean, dim=0)
    return -honest.std(0, correction=0) if direction == "std" else -mean.sign()
