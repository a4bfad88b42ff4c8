"""Statistical mimicry: an honest update of which every measure is kept and the rest is turned towards harm."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from evaluation.comparison.attacks.harm import beside, harmful
from evaluation.smart_home.attacks.attack import ALONE, Knowledge
from evaluation.smart_home.attacks.vectors import flat, shaped, stacked
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update


@dataclass(frozen=True)
class Mimicry:
    """Trains honestly, then turns what it sends around the honest mean, tensor by tensor.

    Its norm, each tensor's share of it, and its cosines to the honest mean, as a whole and in each tensor, stay those
    of its own training. What is left to choose is which way it differs from the mean: against all that was learnt, or
    in a first round against what its own training found beside the mean. Signs and spectra are not kept.

    Attributes:
        turn: share of the way it turns, from 0 for staying honest to 1.
    """

    turn: float = 1.0

    @property
    def name(self) -> str:
        """A word for reports."""
        return "mimicry"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard as it is."""
        return shard

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return the turned update."""
        means = shaped(stacked(known.honest).double().mean(0), update)
        harms = shaped(harmful(known), update)
        turned = {name: self._turned(flat({"": value}), means[name], harms[name]) for name, value in update.items()}
        return {name: value.reshape(update[name].shape).to(update[name].dtype) for name, value in turned.items()}

    def _turned(self, own: Tensor, mean: Tensor, harm: Tensor) -> Tensor:
        """One tensor [values] turned around its mean."""
        own, axis = own.double(), normalize(mean.reshape(-1), dim=0, eps=1e-30)
        along = own @ axis
        across = own - along * axis
        self_ = normalize(across, dim=0, eps=1e-30)
        goal = beside(harm.reshape(-1), axis)
        goal = goal if float(goal.norm()) > 0.5 else -self_
        between = normalize((1.0 - self.turn) * self_ + self.turn * goal, dim=0, eps=1e-30)
        between = between if float(between.norm()) > 0.5 else self_
        turned: Tensor = along * axis + torch.linalg.vector_norm(across) * between
        return turned
