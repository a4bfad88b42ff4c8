"""The calibration that is shipped: what honest homes score, by how skewed their data are."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import ceil
from textwrap import fill, indent

from controlplane.behavior.scores import scores
from controlplane.contracts.behaviour import BehaviourTerms
from controlplane.contracts.evidence import UpdateEvidence
from evaluation.guarantee.scenarios import HIGH, LOW
from evaluation.guarantee.stream import Federation

FIRST_SEED = 900_000
"""Of the federations that a calibration is measured on; those that the promise is tested on are apart."""

QUANTILES = 4096
"""Quantiles of each class: as many as terms may hold, since p-values go no lower than one over them."""

DECIMALS = 3

Scored = tuple[float, float]
"""A score, and the update's concentration."""


def federations(count: int, rounds: int) -> list[Federation]:
    """Those to measure, as many of either skew."""
    return [
        Federation(seed=FIRST_SEED + number, alpha=alpha, rounds=rounds)
        for alpha in (LOW, HIGH)
        for number in range(count)
    ]


def scored(stream: Iterable[Mapping[str, UpdateEvidence]]) -> list[Scored]:
    """The scores of a stream of honest updates."""
    found = []
    for cohort in stream:
        for name, score in scores(cohort).items():
            if score.value is not None:
                found.append((score.value, cohort[name].concentration or 0.0))
    return found


def calibrated(found: Sequence[Scored], terms: BehaviourTerms) -> dict[str, list[float]]:
    """Return each class's quantiles as terms have them, and ``any``'s; classes are the terms'."""
    edges = [0.0, *terms.skew, 1.0 + 1e-9]
    classes = {
        f"skew{number}": [score for score, skew in found if low <= skew < high]
        for number, (low, high) in enumerate(pairwise(edges))
    }
    every = {"any": [score for score, _ in found], **classes}
    return {name: quantiles(own, QUANTILES) for name, own in every.items() if own}


def is_of_updates(name: str) -> bool:
    """Whether a calibration of this name is one that is measured here, and no other channel's or operator's own."""
    return name == "any" or name.startswith("skew")


def quantiles(found: Sequence[float], count: int) -> list[float]:
    """The quantiles at 1/(count+1), ..., count/(count+1), each rounded up.

    They lie as as many draws from the same distribution would, without the noise. If k of them reach a score,
    (k+1)/(count+1) of the distribution reaches it at most, which is the p-value that follows from them.
    """
    ascending = sorted(found)
    places = (min(len(ascending) - 1, len(ascending) * at // (count + 1)) for at in range(1, count + 1))
    return [_rounded_up(ascending[place]) for place in places]


def _rounded_up(number: float) -> float:
    scale: int = 10**DECIMALS
    return ceil(number * scale) / scale


def written(document: Mapping[str, object], width: int = 110) -> str:
    """Return terms as JSON, a member a line, but for a calibration's many numbers, which fill lines."""
    calibration: Mapping[str, Sequence[float]] = document["calibration"]  # type: ignore[assignment]
    marks = {name: f"@{name}@" for name in calibration}
    text = json.dumps({**document, "calibration": marks}, indent=2, sort_keys=True)
    for name, mark in marks.items():
        numbers = fill(", ".join(f"{number:g}" for number in calibration[name]), width)
        text = text.replace(f'"{mark}"', f"[\n{indent(numbers, ' ' * 6)}\n    ]")
    return text + "\n"
