"""Nonconformity scores: how far each update of a cohort deviates from the others, and in what.

Every measurement is standardised by the cohort's median and its median absolute deviation, so that what all of a round
share (a reference that says little late in a training, longer updates early on) speaks against nobody, and so that
scores of different rounds, models and fleets compare. Median and deviation withstand a cohort of which up to half is
hostile. What exceeds a tolerance counts, on the harmful side alone; most honest updates score 0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from statistics import median

from controlplane.contracts.evidence import UpdateEvidence

MAD_TO_SIGMA = 1.4826
"""From the median absolute deviation to a standard deviation, for a normal distribution."""

FEWEST = 4
"""Updates of a cohort, oneself among them, from which they can be compared: three peers."""

WORST = 1e6
"""The score of what cannot be used at all; no measurement alone reaches it."""

LARGEST_EXCESS = 100.0

MOST_COMPANY = 2.0
"""How much being like others adds to a score, as a multiple of all else. Whoever is copied has a twin too, and must not
be convicted by it."""

TOLERANCE = 2.0

_SMALLEST = 1e-6


def logarithm(ratio: float) -> float:
    """The scale of what differs by factors."""
    return log(max(ratio, _SMALLEST))


def nearness(cosine: float) -> float:
    """The scale of cosines that are near 1, where what is left to 1 differs by factors."""
    return -logarithm(1.0 - cosine)


@dataclass(frozen=True, slots=True)
class Measure:
    """One measurement that can speak against an update.

    Attributes:
        name: how verdicts call it: the evidence's own name for it.
        reading: the measured value; none where it was not measured.
        sense: +1 where more is worse, -1 where less is, 0 where both are.
        spread: the least standard deviation that peers are taken to have, so that a close cohort condemns nobody.
        tolerance: standard deviations that are nobody's business.
        scale: from a reading to what is compared.
        is_company: it is about being like others, which can be the others' doing.
    """

    name: str
    reading: Callable[[UpdateEvidence], float | None]
    sense: int
    spread: float
    tolerance: float = TOLERANCE
    scale: Callable[[float], float] = float
    is_company: bool = False

    def excess(self, deviation: float) -> float:
        """How far a deviation, in standard deviations, is beyond what is tolerated; at most 100."""
        turned = abs(deviation) if self.sense == 0 else self.sense * deviation
        return min(LARGEST_EXCESS, max(0.0, turned - self.tolerance))


MEASURES = (
    Measure("norm_ratio", lambda evidence: evidence.norm_ratio, 1, 0.18, scale=logarithm),
    Measure("norm_ratio", lambda evidence: evidence.norm_ratio, -1, 0.4, scale=logarithm),
    Measure("cosine", lambda evidence: evidence.cosine, -1, 0.07),
    Measure("sign_agreement", lambda evidence: evidence.sign_agreement, -1, 0.03),
    Measure("sign_balance", lambda evidence: evidence.sign_balance, 0, 0.02),
    Measure("twin_cosine", lambda evidence: evidence.twin_cosine, 1, 0.25, scale=nearness, is_company=True),
    Measure("centrality", lambda evidence: evidence.centrality, -1, 0.03),
    Measure("centrality", lambda evidence: evidence.centrality, 1, 0.03, is_company=True),
    Measure("spectral_residual", lambda evidence: evidence.spectral_residual, 1, 0.1),
    Measure("low_frequency", lambda evidence: evidence.low_frequency, 0, 0.1),
    Measure("subspace_overlap", lambda evidence: evidence.subspace_overlap, -1, 0.05),
    Measure("innovation", lambda evidence: evidence.innovation, -1, 0.5, scale=logarithm),
    Measure("replay_cosine", lambda evidence: evidence.replay_cosine, 1, 0.5, scale=nearness),
)
"""What is compared, with the least spread that honest devices have, measured on the demo's task at two skews."""

LAYER_COSINE = Measure("layer_cosines", lambda evidence: None, -1, 0.12)
LAYER_NORM = Measure("layer_norms", lambda evidence: None, 1, 0.18, scale=logarithm)
"""How much of a tensor changed is too much a matter of a device's own data to be held against it. It says where."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one measurement adds to a score.

    Attributes:
        name: of the measurement.
        excess: standard deviations beyond what is tolerated.
        value: what was measured.
        expected: the cohort's median.
        is_company: as of the measure.
    """

    name: str
    excess: float
    value: float
    expected: float
    is_company: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """How far an update deviates.

    Attributes:
        value: root of the sum of the parts' squares; none where there was nothing to compare with.
        parts: those that are not 0.
        layers: squared excess by tensor, where it is not 0.
        usual_cosine: the cohort's median cosine to the reference; none where there was no cohort to speak of.
    """

    value: float | None
    parts: tuple[Part, ...] = ()
    layers: Mapping[str, float] = field(default_factory=dict)
    usual_cosine: float | None = None


def scores(cohort: Mapping[str, UpdateEvidence]) -> dict[str, Score]:
    """Return the score of each update of a cohort; the order of its members does not matter.

    What is malformed or was sent before needs no peers to speak against itself. Everything else has no score until
    there are three peers to compare with; an update without length never has.
    """
    comparable = {name: one for name, one in cohort.items() if is_comparable(one)}
    parts: dict[str, list[Part]] = {name: _alone(one) for name, one in cohort.items()}
    if len(comparable) < FEWEST:
        return {name: Score(_value(found) if found else None, tuple(found)) for name, found in parts.items()}
    layers: dict[str, dict[str, float]] = {name: {} for name in cohort}
    for measure in MEASURES:
        _collect(parts, _compared(measure, {name: measure.reading(one) for name, one in comparable.items()}))
    _collect(parts, _by_layer(LAYER_COSINE, {name: _layer_cosines(one) for name, one in comparable.items()}, layers))
    _by_layer(LAYER_NORM, {name: _layer_norms(one) for name, one in comparable.items()}, layers)
    usual = median(one.cosine for one in comparable.values())
    return {
        name: Score(_value(found) if found or name in comparable else None, tuple(found), layers[name], usual)
        for name, found in parts.items()
    }


def shares_of(parts: Sequence[Part]) -> dict[str, float]:
    """Return each measurement's share of a deviation, by name."""
    squares: dict[str, float] = {}
    for part in parts:
        squares[part.name] = squares.get(part.name, 0.0) + part.excess**2
    return of_one(squares)


def of_one(amounts: Mapping[str, float]) -> dict[str, float]:
    """Return amounts as shares of their sum, those that are not 0."""
    total = sum(amounts.values())
    return {name: amount / total for name, amount in amounts.items() if amount > 0.0}


def is_malformed(evidence: UpdateEvidence) -> bool:
    """Whether the update could not be used at all: not of the round's shape, or with NaN or infinities in it."""
    return bool(evidence.nonfinite) or not evidence.shapes_match


def is_comparable(evidence: UpdateEvidence) -> bool:
    """Whether the update has a direction that was compared with something."""
    return not is_malformed(evidence) and evidence.norm > 0.0 and evidence.norm_ratio > 0.0


def _alone(evidence: UpdateEvidence) -> list[Part]:
    if is_malformed(evidence):
        return [Part("malformed", WORST, 1.0, 0.0)]
    # Whoever has nothing to send sends the same nothing every round.
    is_replay = evidence.seen_before and evidence.norm > 0.0
    return [Part("seen_before", LARGEST_EXCESS, 1.0, 0.0)] if is_replay else []


def _value(parts: Sequence[Part]) -> float:
    own = sum(part.excess**2 for part in parts if not part.is_company)
    company = sum(part.excess**2 for part in parts if part.is_company)
    return min(WORST, sqrt(own + min(company, MOST_COMPANY**2 * own)))


def _collect(parts: Mapping[str, list[Part]], found: Mapping[str, Part]) -> None:
    for name, part in found.items():
        if part.excess > 0.0:
            parts[name].append(part)


def _compared(measure: Measure, readings: Mapping[str, float | None]) -> dict[str, Part]:
    known = {name: reading for name, reading in readings.items() if reading is not None}
    if len(known) < FEWEST:
        return {}
    scaled = {name: measure.scale(reading) for name, reading in known.items()}
    centre, expected = median(scaled.values()), median(known.values())
    sigma = max(measure.spread, MAD_TO_SIGMA * median(abs(one - centre) for one in scaled.values()))
    return {
        name: Part(measure.name, measure.excess((scaled[name] - centre) / sigma), reading, expected, measure.is_company)
        for name, reading in known.items()
    }


def _by_layer(
    measure: Measure, readings: Mapping[str, Mapping[str, float]], layers: Mapping[str, dict[str, float]]
) -> dict[str, Part]:
    """The root of the mean square over the tensors, so that a model with more of them does not deviate more.

    The part shows the tensor that deviates most.
    """
    found: dict[str, list[Part]] = {name: [] for name in readings}
    # By who has a tensor: names are the senders', and each may have made up its own.
    having: dict[str, dict[str, float]] = {}
    for name, of_one in readings.items():
        for layer, reading in of_one.items():
            having.setdefault(layer, {})[name] = reading
    for layer in sorted(layer for layer, known in having.items() if len(known) >= FEWEST):
        for name, part in _compared(measure, having[layer]).items():
            found[name].append(part)
            if part.excess > 0.0:
                layers[name][layer] = layers[name].get(layer, 0.0) + part.excess**2
    return {name: _mean(parts) for name, parts in found.items() if parts}


def _mean(parts: Sequence[Part]) -> Part:
    worst = max(parts, key=lambda part: part.excess)
    mean = sqrt(sum(part.excess**2 for part in parts) / len(parts))
    return Part(worst.name, mean, worst.value, worst.expected)


def _layer_cosines(evidence: UpdateEvidence) -> Mapping[str, float]:
    return evidence.layer_cosines or {}


def _layer_norms(evidence: UpdateEvidence) -> Mapping[str, float]:
    return {layer: evidence.norm_ratio * sqrt(share) for layer, share in evidence.layer_shares.items()}
