"""A first trust score: evidence is judged feature by feature, and trust falls faster than it rises."""

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.identity import Trust


@dataclass(frozen=True, slots=True)
class Assessed:
    """What one update makes of its subject.

    Attributes:
        trust: after the update.
        features: what made the update stand out, largest first; empty for an unremarkable one.
    """

    trust: Trust
    features: tuple[str, ...]


@dataclass(frozen=True)
class TrustLimits:
    """Where an update begins to stand out, and how fast trust follows.

    Attributes:
        cosine: below this an update points away from the reference.
        norm_ratio: above this it is larger than its cohort's.
        gain: share of the distance to full trust that one unremarkable update earns.
        loss: share of the trust that one update loses per unit of suspicion.
    """

    cosine: float = 0.0
    norm_ratio: float = 3.0
    gain: float = 0.2
    loss: float = 0.7


class TrustModel:
    """Judges a cohort's evidence. Pure: what it knows of a subject is the prior that it is given."""

    def __init__(self, limits: TrustLimits | None = None) -> None:
        self._limits = limits or TrustLimits()

    def assess(self, prior: Mapping[str, Trust], cohort: Mapping[str, UpdateEvidence]) -> dict[str, Assessed]:
        """Return what each update makes of its subject; every subject of ``cohort`` has a prior."""
        return {subject: self._assess(prior[subject], evidence) for subject, evidence in cohort.items()}

    def _assess(self, prior: Trust, evidence: UpdateEvidence) -> Assessed:
        suspicion = self._suspicion(evidence)
        features = tuple(sorted(suspicion, key=lambda name: suspicion[name], reverse=True))
        total = min(1.0, sum(suspicion.values()))
        limits = self._limits
        score = prior.score * (1.0 - limits.loss * total) if total else prior.score + limits.gain * (1.0 - prior.score)
        return Assessed(Trust(score=min(1.0, max(0.0, score)), observations=prior.observations + 1), features)

    def _suspicion(self, evidence: UpdateEvidence) -> dict[str, float]:
        limits = self._limits
        found: dict[str, float] = {}
        if evidence.nonfinite or not evidence.shapes_match:
            found["malformed"] = 1.0
        if evidence.cosine < limits.cosine:
            found["cosine"] = 1.0
        if evidence.norm_ratio > limits.norm_ratio:
            found["norm_ratio"] = min(1.0, evidence.norm_ratio / limits.norm_ratio - 1.0)
        if evidence.duplicates:
            found["duplicates"] = 1.0
        return found
