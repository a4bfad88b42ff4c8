"""FLAME: a majority cluster by cosine, clipping to the median norm, and a little noise (arXiv 2101.02281)."""

from dataclasses import dataclass

import torch
from sklearn.cluster import HDBSCAN  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn.functional import normalize

from evaluation.comparison.defences.rows import Rows
from evaluation.comparison.defences.rule import Outcome, everybody
from evaluation.comparison.interfaces import Received

FEWEST = 3
"""Updates below which there is no majority to speak of, and nobody is refused."""


@dataclass(frozen=True)
class Flame:
    """The rule, with the paper's choices: a cluster has more than half of the updates, and one sample makes a core.

    Cosines are those of updates, where the paper compares whole models: here the state is common to all and known.
    Where no cluster holds a majority, nobody is refused: the paper leaves that case open.

    Attributes:
        noise: standard deviation of what is added to each coordinate, as a share of the median norm; the paper's lambda
            for images.
        seed: fixes it, with the round.
    """

    noise: float = 0.001
    seed: int = 0

    def __call__(self, rows: Rows, received: Received) -> Outcome:
        """Return the noisy mean of the clipped updates of the majority."""
        distances = cosine_distances(rows.values)
        kept = majority(distances) if len(rows.devices) >= FEWEST else everybody(rows)
        bound = float(rows.norms.median())
        clipped = rows.values * (bound / rows.norms.clamp_min(1e-30)).clamp_max(1.0)[:, None]
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + received.turn)
        drawn = torch.randn(rows.values.shape[1], generator=generator, dtype=torch.float64)
        step = clipped[kept].mean(0) + self.noise * bound * drawn
        return Outcome(step, kept, distances[:, kept].mean(dim=1))


def cosine_distances(values: Tensor) -> Tensor:
    """1 less the cosine of each pair of rows, [rows, rows]; 0 on the diagonal."""
    units = normalize(values, dim=1, eps=1e-30)
    distances = (1.0 - units @ units.T).clamp(0.0, 2.0)
    return distances.fill_diagonal_(0.0)


def majority(distances: Tensor) -> Tensor:
    """Which rows are in the cluster that has more than half of them, [rows], bool; all of them where there is none.

    Args:
        distances: between at least three rows, [rows, rows].
    """
    clustering = HDBSCAN(
        metric="precomputed",
        min_cluster_size=len(distances) // 2 + 1,
        min_samples=1,
        allow_single_cluster=True,
        copy=True,
    )
    labels = torch.as_tensor(clustering.fit_predict(distances.numpy()))
    return labels == 0 if bool((labels == 0).any()) else torch.ones(len(distances), dtype=torch.bool)
