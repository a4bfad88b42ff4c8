"""Screening alone: this system's evidence under the shipped bounds, with no control plane that remembers anyone.

What cannot stand alone is left out: identity, capabilities, the p-values and e-values of behaviour, and rollbacks. The
bounds are those of ``policies/ztfm/lib/evidence`` over ``policies/data/limits``, read from there, written once more
here; a test holds both against each other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from adapters.aggregation import aggregate
from adapters.screening import Manifest, Screener
from controlplane.behavior.attribution import of_update
from controlplane.behavior.scores import Score, scores
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.sidecar.folders import product_folder
from evaluation.comparison.interfaces import Aggregated, Received, Update


@dataclass(frozen=True)
class Bounds:
    """What an update's evidence must keep to; attributes as in ``policies/data/limits``."""

    norm_maximum: float
    norm_ratio_maximum: float
    cosine_minimum: float
    replay_cosine_maximum: float
    examples_minimum: int
    examples_maximum: int
    parameters_maximum: int
    clip_norm_ratio: float
    references: Mapping[str, bool]

    @classmethod
    def shipped(cls, folder: Path | None = None) -> Self:
        """Those of the policies' data.

        Args:
            folder: of policies; none for the product's.

        Raises:
            FileNotFoundError: there is no such data.
            TypeError: the data has other bounds than these.
        """
        file = (folder or product_folder("policies")) / "data" / "limits" / "data.json"
        return cls(**json.loads(file.read_text())["evidence"])

    def broken(self, evidence: UpdateEvidence) -> list[str]:
        """Names of the requirements that are not proven, as the policy has them."""
        replay = evidence.replay_cosine
        proven = {
            "update_measured": 1 <= evidence.parameters <= self.parameters_maximum
            and 0.0 < evidence.norm <= self.norm_maximum
            and self.references.get(evidence.reference, False) is True,
            "update_finite": evidence.nonfinite == 0,
            "update_shaped": evidence.shapes_match,
            "update_bounded": 0.0 < evidence.norm_ratio <= self.norm_ratio_maximum,
            "update_aligned": self.cosine_minimum <= evidence.cosine <= 1.0,
            "update_unique": evidence.duplicates == 0,
            "update_new": not evidence.seen_before and (replay is None or -1.0 <= replay < self.replay_cosine_maximum),
            "update_examples": self.examples_minimum <= evidence.examples <= self.examples_maximum,
        }
        return [name for name, holds in proven.items() if not holds]


@dataclass
class Screening:
    """Refuses updates whose evidence breaks a bound, clips the others to a multiple of the median norm, averages them.

    A refused update's suspicion is its score and one more for each bound that it breaks.

    Attributes:
        bounds: that evidence keeps to.
        seed: of the screener's projection and sample.
        name: a word for files and tables.
        remembers: 0; the screener keeps sketches of its own.
    """

    bounds: Bounds = field(default_factory=Bounds.shipped)
    seed: int = 0
    name: str = "screening"
    remembers: int = 0

    def __post_init__(self) -> None:
        """Begin with nothing remembered."""
        self._screener = Screener(seed=self.seed)

    def aggregate(self, received: Received) -> Aggregated:
        """Return the mean of what keeps to the bounds, by claimed examples."""
        evidence = self.evidence(received)
        found = scores(evidence)
        broken = {device: self.bounds.broken(evidence[str(device)]) for device in sorted(received.updates)}
        refused = frozenset(device for device, names in broken.items() if names)
        return Aggregated(
            averaged(received, evidence, refused, self.bounds.clip_norm_ratio),
            refused,
            {device: suspicion(found[str(device)]) + len(names) for device, names in broken.items()},
            {device: likeness(evidence[str(device)], found[str(device)]) for device in sorted(refused)},
        )

    def evidence(self, received: Received) -> dict[str, UpdateEvidence]:
        """What screening measures on a round, by device as text."""
        return self._screener.screen(
            {str(device): update for device, update in sorted(received.updates.items())},
            Manifest.of(received.state),
            reference=received.reference,
            examples={str(device): count for device, count in received.examples.items()},
            round_id=str(received.turn),
        )


def averaged(
    received: Received, evidence: Mapping[str, UpdateEvidence], refused: frozenset[int], clip: float
) -> dict[str, Tensor] | None:
    """The mean by examples of the updates that are not refused, each clipped; none where nobody is left.

    Args:
        received: the round.
        evidence: by device as text.
        refused: devices without a part in it.
        clip: most length of an update, as a multiple of the cohort's median norm.
    """
    kept = [device for device in sorted(received.updates) if device not in refused]
    weights = [evidence[str(device)].examples for device in kept]
    if not sum(weights):
        return None
    clipped = [_clipped(received.updates[device], evidence[str(device)].norm_ratio, clip) for device in kept]
    return {name: value.to(torch.float32) for name, value in aggregate("mean", clipped, weights).items()}


def suspicion(score: Score) -> float:
    """A score as a number; 0 where there was nothing to compare with."""
    return score.value or 0.0


def likeness(evidence: UpdateEvidence, score: Score) -> str:
    """The attack that an update looks like."""
    attributed = of_update(evidence, score)
    return attributed.attack if attributed else "unknown"


def _clipped(update: Update, ratio: float, clip: float) -> Update:
    factor = min(1.0, clip / ratio) if ratio > 0.0 else 0.0
    return {name: factor * value for name, value in update.items()}
