"""A first trust score: agreement with trusted evidence earns trust slowly, suspicion costs it at once.

This is the part that later calibrated models replace: what they must keep is `TrustModel.assess`, from what was
known of each subject and what its cohort's updates look like to a new trust and the features that explain it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from controlplane.behavior.suspicion import comparable_peers, is_comparable, suspicions
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
class TrustRates:
    """How fast trust follows evidence.

    Attributes:
        gain: share of the distance to full trust that one fully aligned, unsuspicious update earns.
        loss: share of its trust that a subject loses by one fully suspicious update.
        aligned: cosine to the reference from which an update earns all of the gain; at 0 it earns nothing.
        tolerated: suspicion from which an update earns nothing any more.
    """

    gain: float = 0.25
    loss: float = 0.75
    aligned: float = 0.1
    tolerated: float = 0.2


class TrustModel:
    """Judges a cohort's evidence. Pure: what it knows of a subject is the prior that it is given.

    With suspicion s (features combined as independent reasons, 1 - prod(1 - s_f)) and earned share e, trust t
    becomes ``t (1 - loss s) + gain e (1 - t)``. Each update is compared with the others of its cohort only, never
    with itself, so worse evidence cannot raise the trust of its sender; more than half of a cohort in collusion can.
    """

    def __init__(self, rates: TrustRates | None = None) -> None:
        self._rates = rates or TrustRates()

    def assess(self, prior: Mapping[str, Trust], cohort: Mapping[str, UpdateEvidence]) -> dict[str, Assessed]:
        """Return what each update makes of its subject; every subject of ``cohort`` has a prior."""
        return {
            subject: self._assess(prior[subject], evidence, suspicions(evidence, comparable_peers(cohort, subject)))
            for subject, evidence in cohort.items()
        }

    def _assess(self, prior: Trust, evidence: UpdateEvidence, found: Mapping[str, float]) -> Assessed:
        rates = self._rates
        suspicion = 1.0 - prod(1.0 - part for part in found.values())
        earned = rates.gain * self._earning(evidence, suspicion) * (1.0 - prior.score)
        score = prior.score * (1.0 - rates.loss * suspicion) + earned
        features = tuple(sorted(found, key=lambda name: (-found[name], name)))
        return Assessed(Trust(score=min(1.0, max(0.0, score)), observations=prior.observations + 1), features)

    def _earning(self, evidence: UpdateEvidence, suspicion: float) -> float:
        if not is_comparable(evidence):
            return 0.0
        alignment = min(1.0, max(0.0, evidence.cosine / self._rates.aligned))
        return alignment * max(0.0, 1.0 - suspicion / self._rates.tolerated)
