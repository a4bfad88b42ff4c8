"""What a window's deviations add up to, which attack they look like, and the attribution that says so.

The likeness of an attack is the cosine between what deviates and what it moves, each once. That is a likeness, no
proof: who knows the patterns can look like another attack, and never like nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from controlplane.behavior.attribution import attributed
from controlplane.behavior.requests.measures import Centre
from controlplane.behavior.scores import Part
from controlplane.contracts.behaviour import Attack, Attribution

LEAST = 0.5
"""Likeness below which nothing that is known is named."""

Patterns = Mapping[Attack, Mapping[str, float]]
"""What each attack moves, and how telling that is."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a window says of a subject.

    Attributes:
        score: how far it deviates: the root of the sum of the parts' squares; none where there was nothing to compare
            it with.
        attribution: in what; none for an unremarkable one.
    """

    score: float | None
    attribution: Attribution | None


def scored(parts: Sequence[Part], peers: Mapping[str, Centre], patterns: Patterns) -> Scored:
    """Return what a window says of a subject.

    Args:
        parts: in what it deviates.
        peers: what it was compared with.
        patterns: of the attacks that show in its channel.
    """
    if not parts:
        return Scored(0.0 if peers else None, None)
    attack, confidence = likely(parts, patterns)
    return Scored(sqrt(sum(part.excess**2 for part in parts)), attributed(parts, {}, attack, confidence))


def likely(parts: Sequence[Part], patterns: Patterns) -> tuple[Attack, float]:
    """Return the attack that looks most like it, and its likeness over the sum of all."""
    excess = {part.name: part.excess for part in parts}
    length = sqrt(sum(one * one for one in excess.values()))
    likeness = {attack: _cosine(excess, moves) / length for attack, moves in patterns.items()}
    attack = max(likeness, key=lambda name: likeness[name])
    if likeness[attack] < LEAST:
        return "unknown", 0.0
    return attack, min(1.0, likeness[attack] / max(1.0, sum(likeness.values())))


def _cosine(excess: Mapping[str, float], moves: Mapping[str, float]) -> float:
    return sum(weight * excess.get(name, 0.0) for name, weight in moves.items()) / sqrt(
        sum(weight * weight for weight in moves.values())
    )
