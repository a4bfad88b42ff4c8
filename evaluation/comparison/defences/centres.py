"""Defences that name nobody: the plain mean, and centres that a minority moves only so far."""

import torch
from torch import Tensor

from adapters.aggregation.mixing import geometric_median, neighbour_mixing, tolerated
from adapters.aggregation.trimming import trimmed_mean
from evaluation.comparison.defences.rows import Rows
from evaluation.comparison.defences.rule import Outcome, everybody
from evaluation.comparison.interfaces import Received


def averaging(rows: Rows, received: Received) -> Outcome:
    """The mean by claimed examples, or the plain one where nobody claims any (McMahan et al., arXiv 1602.05629)."""
    total = rows.examples.sum()
    weights = rows.examples / total if total > 0 else torch.full_like(rows.examples, 1.0 / len(rows.devices))
    return _about(rows, weights @ rows.values)


def median_of_geometry(rows: Rows, received: Received) -> Outcome:
    """The geometric median, each update with one voice (Pillutla, Kakade and Harchaoui, RFA, arXiv 1912.13445)."""
    weights = torch.from_numpy(geometric_median(rows.gram.numpy()))
    return _about(rows, weights @ rows.values)


def mixed_and_trimmed(rows: Rows, received: Received) -> Outcome:
    """The trimmed mean of updates that were each mixed with their nearest ones (Allouah et al., arXiv 2302.01772)."""
    hostile = tolerated(len(rows.devices))
    mixed = torch.from_numpy(neighbour_mixing(rows.gram.numpy(), hostile)) @ rows.values
    return _about(rows, torch.from_numpy(trimmed_mean(list(mixed.numpy()), hostile)))


def _about(rows: Rows, centre: Tensor) -> Outcome:
    """How hostile each looks: its distance to the centre, as a multiple of the median distance."""
    return Outcome(centre, everybody(rows), over_median((rows.values - centre).norm(dim=1)))


def over_median(values: Tensor) -> Tensor:
    """Values that are not negative as multiples of their median; 0 where both are 0."""
    return values / values.median().clamp_min(1e-12)
