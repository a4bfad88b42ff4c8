"""How far one update's evidence speaks against the device behind it, feature by feature.

A feature counts only as far as two things hold at once: the value is harmful by itself (beyond a limit), and it
is unlike the cohort's other updates (a robust z-score against their median). What all peers share, such as a
reference that says little late in a training, speaks against nobody; nor does an outlier that harms nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from controlplane.contracts.evidence import UpdateEvidence

MAD_TO_SIGMA = 1.4826
FEWEST_PEERS = 3


@dataclass(frozen=True)
class Ramp:
    """Suspicion over a value: 0 up to ``start``, 1 from ``full`` on, straight between."""

    start: float
    full: float

    def __call__(self, value: float) -> float:
        """Suspicion of ``value``, in [0, 1]."""
        return min(1.0, max(0.0, (value - self.start) / (self.full - self.start)))


UNLIKE_PEERS = Ramp(start=3.0, full=5.0)


@dataclass(frozen=True)
class Feature:
    """One measurement that can speak against an update.

    Attributes:
        name: how verdicts call it.
        badness: the measurement, turned so that more is worse.
        harm: suspicion of the badness by itself.
        spread: the least standard deviation that peers are taken to have, so that a close cohort condemns nobody.
    """

    name: str
    badness: Callable[[UpdateEvidence], float]
    harm: Ramp
    spread: float

    def suspicion(self, own: UpdateEvidence, peers: Sequence[UpdateEvidence]) -> float:
        """Suspicion in [0, 1]; with fewer than three peers harm alone decides."""
        value = self.badness(own)
        harm = self.harm(value)
        if not harm or len(peers) < FEWEST_PEERS:
            return harm
        others = [self.badness(peer) for peer in peers]
        centre = median(others)
        sigma = max(self.spread, MAD_TO_SIGMA * median(abs(other - centre) for other in others))
        return min(harm, UNLIKE_PEERS((value - centre) / sigma))


COMPARED = (
    Feature("cosine", lambda evidence: -evidence.cosine, Ramp(start=0.2, full=0.35), spread=0.05),
    Feature("norm_ratio", lambda evidence: evidence.norm_ratio, Ramp(start=2.0, full=4.0), spread=0.15),
    Feature("sign_agreement", lambda evidence: -evidence.sign_agreement, Ramp(start=-0.46, full=-0.38), spread=0.02),
)
DUPLICATES = Ramp(start=0.6, full=2.6)
"""One twin may be a coincidence, or an honest device that was copied; three are a swarm."""


def suspicions(own: UpdateEvidence, peers: Sequence[UpdateEvidence]) -> dict[str, float]:
    """What speaks against an update, by feature, each in (0, 1]; empty for an unremarkable one.

    An update without length has no direction that could speak against it, and neither has one that was to be
    compared with the centre of a cohort in which it is alone.

    Args:
        own: the update's evidence.
        peers: the evidence of all other comparable updates of its cohort.
    """
    if is_malformed(own):
        return {"malformed": 1.0}
    if not is_comparable(own):
        return {}
    compared = COMPARED if own.reference == "root" or peers else ()
    found = {feature.name: feature.suspicion(own, peers) for feature in compared}
    found["duplicates"] = DUPLICATES(own.duplicates)
    return {name: suspicion for name, suspicion in found.items() if suspicion > 0.0}


def comparable_peers(cohort: Mapping[str, UpdateEvidence], subject: str) -> list[UpdateEvidence]:
    """The evidence that ``subject``'s may be compared with."""
    return [evidence for name, evidence in cohort.items() if name != subject and is_comparable(evidence)]


def is_malformed(evidence: UpdateEvidence) -> bool:
    """Whether the update could not be used at all: not of the round's shape, or with NaN or infinities in it."""
    return bool(evidence.nonfinite) or not evidence.shapes_match


def is_comparable(evidence: UpdateEvidence) -> bool:
    """Whether the update has a direction that was compared with something."""
    return not is_malformed(evidence) and evidence.norm > 0.0 and evidence.norm_ratio > 0.0
