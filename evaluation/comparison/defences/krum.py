"""Multi-Krum: the mean of those updates that have many others near them (Blanchard et al., NeurIPS 2017)."""

import torch
from torch import Tensor

from adapters.aggregation.mixing import tolerated
from evaluation.comparison.defences.centres import over_median
from evaluation.comparison.defences.rows import Rows
from evaluation.comparison.defences.rule import Outcome
from evaluation.comparison.interfaces import Received


def multi_krum(rows: Rows, received: Received) -> Outcome:
    """The plain mean of all but the ``f`` updates of the worst scores; a fifth may be hostile, and so many go.

    So each round refuses as many honest ones as hostile ones are missing.
    """
    count = len(rows.devices)
    hostile = tolerated(count)
    found = krum_scores(rows.values, hostile)
    kept = torch.zeros(count, dtype=torch.bool)
    kept[torch.argsort(found, stable=True)[: count - hostile]] = True
    return Outcome(rows.values[kept].mean(0), kept, over_median(found))


def krum_scores(values: Tensor, hostile: int) -> Tensor:
    """Each row's sum of squared distances to its ``n - f - 2`` nearest others, [rows].

    At least to one, or to as many as there are.

    Args:
        values: [rows, values].
        hostile: the paper's f.
    """
    squared = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist").square()
    nearest = squared.sort(dim=1).values[:, 1:]
    return nearest[:, : max(1, len(values) - hostile - 2)].sum(dim=1)
