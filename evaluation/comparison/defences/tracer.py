"""A tracker after FLTracer: who stands apart in this round, or from what it used to send (arXiv 2310.13424).

Kept of the paper: its three local experts (signs, ranks, the classifier's values, each by the first principal component
and a robust z-score), the track of each layer over rounds, and that one expert's word is enough. Simplified: the track
is a Kalman filter of a local level for each device, tensor and feature, with fixed noise and nothing learnt, where the
paper trains a filter's matrices on data of its own; features are a tensor's length and its cosine to the median update,
where the paper draws activation maps; what kind of attack it is is not told.

Where homes are of a few distinct kinds, a kind that is in the minority can be taken for attackers.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from evaluation.comparison.defences.outlying import centred_ranks, first_component, robust_z
from evaluation.comparison.defences.rows import Rows
from evaluation.comparison.defences.rule import Outcome
from evaluation.comparison.interfaces import Received

FEWEST = 4
"""Updates below which nobody can be told apart."""

LAST = 2
"""Tensors, the last ones of the state, that are taken for the classifier: weights and biases."""

STEADY = 0.5
"""Standard deviation that surprises are taken to have at least: they are in units of their own noise."""


@dataclass
class Level:
    """What is believed of one device: for each tensor and feature a level, [tensors, features], and its variance."""

    mean: Tensor
    variance: Tensor


@dataclass
class Track:
    """Kalman filters of local levels: what a device sends drifts a little, and is measured with noise.

    Attributes:
        drift: variance that a round adds to what is believed.
        noise: variance of one measurement.
        levels: by device.
    """

    drift: float = 0.01
    noise: float = 0.05
    levels: dict[int, Level] = field(default_factory=dict)

    def surprise(self, device: int, measured: Tensor) -> float:
        """How far a measurement is from what is believed: the root of the mean squared normalised innovation.

        It is 0 for a device that was not seen before.
        """
        known = self.levels.get(device)
        if known is None:
            return 0.0
        return float(((measured - known.mean).square() / (known.variance + self.drift + self.noise)).mean().sqrt())

    def learn(self, device: int, measured: Tensor) -> None:
        """Take in a measurement of a device that is believed."""
        known = self.levels.get(device)
        if known is None:
            self.levels[device] = Level(measured.clone(), torch.full_like(measured, self.noise))
            return
        predicted = known.variance + self.drift
        gain = predicted / (predicted + self.noise)
        self.levels[device] = Level(known.mean + gain * (measured - known.mean), (1.0 - gain) * predicted)


@dataclass
class Tracer:
    """The rule; of one federation, whose devices it comes to know.

    Attributes:
        threshold: z-score from which an expert accuses somebody. `evaluation.comparison.tuning` picked it, where the
            paper tunes one for each data set and expert.
        track: of everybody's earlier rounds.
    """

    threshold: float = 3.0
    track: Track = field(default_factory=Track)

    def __call__(self, rows: Rows, received: Received) -> Outcome:
        """Return the mean by examples of those whom no expert accuses."""
        measured = features(rows)
        worst = self._worst(rows, received, measured)
        kept = worst <= self.threshold
        for place in torch.nonzero(kept).flatten().tolist():
            self.track.learn(rows.devices[place], measured[place])
        weights = (rows.examples + (rows.examples.sum() == 0)) * kept
        total = float(weights.sum())
        return Outcome(weights @ rows.values / total if total > 0.0 else None, kept, worst)

    def _worst(self, rows: Rows, received: Received, measured: Tensor) -> Tensor:
        """The highest z-score that an expert gives, [devices]."""
        if len(rows.devices) < FEWEST:
            return torch.zeros(len(rows.devices), dtype=torch.float64)
        last = torch.cat([rows.values[:, rows.spans[name]] for name in list(received.state)[-LAST:]], dim=1)
        surprises = [self.track.surprise(device, one) for device, one in zip(rows.devices, measured, strict=True)]
        experts = (
            first_component(rows.values.sign()),
            first_component(centred_ranks(rows.values.to(torch.float32)).double()),
            first_component(last),
        )
        changed = robust_z(torch.tensor(surprises, dtype=torch.float64), STEADY)
        return torch.stack([*(robust_z(expert) for expert in experts), changed]).amax(0)


def features(rows: Rows) -> Tensor:
    """Of each device and tensor: the logarithm of its length over the median one, and its cosine to the median update.

    Returns:
        [devices, tensors, 2].
    """
    found = []
    for span in rows.spans.values():
        values = rows.values[:, span]
        lengths = values.norm(dim=1).clamp_min(1e-12)
        ratios = (lengths / lengths.median()).log().clamp(-3.0, 3.0)
        cosines = cosine_similarity(values, values.median(dim=0).values[None], dim=1, eps=1e-30)
        found.append(torch.stack([ratios, cosines], dim=1))
    return torch.stack(found, dim=1)
