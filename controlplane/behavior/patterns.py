"""Patterns: which attack an update's score looks like.

Each attack moves certain measurements, and their readings must suit it. The one whose measurements hold most of the
deviation is named. That is a likeness, no proof: whoever knows the patterns can look like another, but hardly like
nobody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controlplane.behavior.scores import MEASURES, Score, shares_of
from controlplane.contracts.behaviour import Attack
from controlplane.contracts.evidence import UpdateEvidence


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an attack looks like.

    Attributes:
        attack: which one.
        moves: measurements that it moves, and how telling each is.
        fits: how well the readings suit it, in [0, 1]; given the evidence and its score.
    """

    attack: Attack
    moves: Mapping[str, float]
    fits: Callable[[UpdateEvidence, Score], float]


def _turned(evidence: UpdateEvidence, score: Score) -> float:
    """How far the direction is the opposite of the others': 0 across, 1 for as negative as theirs is positive."""
    return _share(-_bearing(evidence, score))


def _askew(evidence: UpdateEvidence, score: Score) -> float:
    """How far the direction is neither the others' nor its opposite."""
    askew = _share(1.0 - _bearing(evidence, score)) - _turned(evidence, score) ** 2
    return askew if _idle(evidence, score) == 0.0 else 0.0


def _onward(evidence: UpdateEvidence, score: Score) -> float:
    """How far the direction is still the others', while the update is longer or has company."""
    return _share(0.5 + 2.0 * _bearing(evidence, score)) if evidence.norm_ratio > 0.9 else 0.0


def _bearing(evidence: UpdateEvidence, score: Score) -> float:
    """The cosine to the reference, as a multiple of what is usual; 1 where nothing is known of others."""
    return 1.0 if score.usual_cosine is None else evidence.cosine / max(0.05, score.usual_cosine)


def _accompanied(evidence: UpdateEvidence, score: Score) -> float:
    """How near the nearest other update is: 0 up to a cosine of 0.8, 1 from 0.95 on."""
    return 1.0 if evidence.duplicates else _share(((evidence.twin_cosine or 0.0) - 0.8) / 0.15)


def _concerted(evidence: UpdateEvidence, score: Score) -> float:
    """As `_accompanied`, where what is sent is off the honest course as a whole, not only like another's."""
    is_off = any(part.name in ("cosine", "sign_agreement", "sign_balance") for part in score.parts)
    return _accompanied(evidence, score) if is_off else 0.0


def _idle(evidence: UpdateEvidence, score: Score) -> float:
    return 1.0 if evidence.norm_ratio < 0.5 else 0.0


def _always(evidence: UpdateEvidence, score: Score) -> float:
    return 1.0


_REPLAYED = {"seen_before": 1.0, "replay_cosine": 1.0, "innovation": 0.8}

_ANY = dict.fromkeys(
    (
        "layer_cosines",
        *(measure.name for measure in MEASURES if not measure.is_company and measure.name not in _REPLAYED),
    ),
    0.5,
)
"""Whatever is measured and is about the update itself."""

PATTERNS = (
    Pattern("malformed", {"malformed": 1.0}, _always),
    Pattern("replay", _REPLAYED, _always),
    Pattern("free_rider", {"norm_ratio": 1.0}, _idle),
    Pattern(
        "sign_flip",
        {"cosine": 1.0, "sign_agreement": 1.0, "layer_cosines": 1.0, "centrality": 0.6, "norm_ratio": 0.6},
        _turned,
    ),
    Pattern("label_flip", {"cosine": 1.0, "sign_agreement": 1.0, "norm_ratio": 1.0, "layer_cosines": 0.6}, _askew),
    Pattern("backdoor", {"norm_ratio": 1.0, "twin_cosine": 0.7, "layer_cosines": 0.6}, _onward),
    Pattern("sybil", {"twin_cosine": 1.0, "centrality": 0.6, "spectral_residual": 0.4}, _accompanied),
    Pattern("collusion", {"twin_cosine": 1.2, "sign_balance": 1.2, "centrality": 0.8, "cosine": 0.4}, _concerted),
    Pattern("model_poisoning", _ANY, _always),
)


def likely(evidence: UpdateEvidence, score: Score) -> tuple[Attack, float]:
    """Return the attack that looks most like it, and how much more than all others do.

    Confidence is the attack's likeness over the sum of all, times how much of the deviation its measurements explain.
    """
    shares = shares_of(score.parts)
    likeness = {
        pattern.attack: pattern.fits(evidence, score)
        * sum(weight * shares.get(name, 0.0) for name, weight in pattern.moves.items())
        for pattern in PATTERNS
    }
    attack = max(likeness, key=lambda name: likeness[name])
    if likeness[attack] <= 0.0:
        return "unknown", 0.0
    return attack, _share(likeness[attack] / max(1.0, sum(likeness.values())))


def _share(number: float) -> float:
    return min(1.0, max(0.0, number))
