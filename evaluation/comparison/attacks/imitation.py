"""Imitates honest updates by the graph that they make (after VGAE-MP, arXiv 2404.15042, and GRMP, arXiv 2511.07176).

Kept of the papers: only honest updates are known, no data; they are nodes of a graph whose edges are their cosines; an
autoencoder over that graph learns what they have in common; the new update comes from its decoder, stays as near to
the others as the graph says that one of them is, and goes against the global model otherwise. Simplified: the encoder
is one linear graph layer (as good as the convolutions in many cases: Salha, Hennequin and Vazirgiannis, arXiv
1910.00942) whose best weights have a closed form, and nothing is drawn at random; nodes are updates, not their
coordinates; with a bound that is linear on a sphere the best update has a closed form too, where the papers walk there
by subgradients; bandwidth is no matter here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from evaluation.comparison.attacks.harm import beside, harmful
from evaluation.smart_home.attacks.attack import ALONE, Knowledge
from evaluation.smart_home.attacks.vectors import jittered, shaped, stacked
from evaluation.smart_home.corpus import Sentence
from evaluation.smart_home.training import Update


@dataclass(frozen=True)
class GraphAutoencoder:
    """What honest updates have in common.

    Attributes:
        basis: rows of length 1 that span everything the decoder can yield, [width, values].
        centre: mean of the updates' directions; the mean cosine of any direction to them is its product with this,
            [values].
        least: the smallest mean cosine that an update has to the others.
    """

    basis: Tensor
    centre: Tensor
    least: float

    @classmethod
    def fit(cls, updates: Tensor, width: int) -> Self:
        """Learn from updates, [updates, values]: smooth them over their graph, keep the principal directions of that.

        Args:
            updates: at least one.
            width: most directions.
        """
        units = normalize(updates, dim=1, eps=1e-30)
        cosines = units @ units.T
        degrees = cosines.clamp_min(0.0).fill_diagonal_(1.0).sum(1)
        smoothing = cosines.clamp_min(0.0).fill_diagonal_(1.0) / (degrees[:, None] * degrees).sqrt()
        smooth = smoothing @ updates
        strengths, directions = torch.linalg.eigh(smooth @ smooth.T)
        kept = strengths > 1e-9 * strengths[-1]
        encoded = normalize(directions[:, kept][:, -width:].T @ smooth, dim=1, eps=1e-30)
        count = len(updates)
        others = (cosines.sum(1) - cosines.diagonal()) / max(1, count - 1)
        return cls(encoded, units.mean(0), float(others.min()) if count > 1 else 1.0)

    def generated(self, away: Tensor, kept: float) -> Tensor:
        """The direction of the decoder that goes farthest along ``away`` with a mean cosine to the updates of ``kept``.

        Args:
            away: [values].
            kept: the least mean cosine; more than the decoder can have is as much as it can.

        Returns:
            [values], of length 1.
        """
        inner, wanted = self.basis @ self.centre, self.basis @ away
        towards, goal = normalize(inner, dim=0, eps=1e-30), normalize(wanted, dim=0, eps=1e-30)
        along = min(1.0, max(kept / max(float(inner.norm()), 1e-30), float(goal @ towards)))
        found = along * towards + max(0.0, 1.0 - along**2) ** 0.5 * self._across(goal, towards)
        return normalize(found @ self.basis, dim=0, eps=1e-30)

    @staticmethod
    def _across(goal: Tensor, towards: Tensor) -> Tensor:
        """Where ``goal`` is no more than the opposite of ``towards``: the weakest direction that there is."""
        across = beside(goal, towards)
        return across if float(across.norm()) > 0.5 else beside(torch.eye(len(goal), dtype=goal.dtype)[0], towards)


@dataclass(frozen=True)
class GraphImitation:
    """Sends what a graph autoencoder generates, as long as the median honest update.

    Attributes:
        width: directions that the autoencoder keeps.
        slack: by how much its mean cosine to the honest may be below the least honest one; 0 to keep what is learnt.
        jitter: length of each colluder's own noise, as a share of what it sends.
    """

    width: int = 8
    slack: float = 0.0
    jitter: float = 0.1

    @property
    def name(self) -> str:
        """A word for reports."""
        return "graph_imitation"

    def poison(self, shard: Sequence[Sentence]) -> Sequence[Sentence]:
        """Return the shard as it is."""
        return shard

    def distort(self, update: Update, known: Knowledge = ALONE) -> Update:
        """Return the generated update; of one's own where the honest ones have no length."""
        honest = stacked(known.honest).double()
        length = float(honest.norm(dim=1).median())
        if length == 0.0:
            return update
        learned = GraphAutoencoder.fit(honest, self.width)
        # The noise is across what is sent, and takes that much of the cosines.
        kept = (learned.least - self.slack) * (1.0 + self.jitter**2) ** 0.5
        sent = length * learned.generated(harmful(known), kept)
        noisy = jittered(sent.float(), self.jitter, known.device, known.turn)
        return shaped(length * noisy / noisy.norm().clamp_min(1e-30), update)
