"""Numbers in answers: which are probabilities, which are raw scores, and how they are made coarser."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Kind = Literal["probabilities", "log_probabilities", "logits", "embedding"]
"""What numbers are: shares, logarithms of shares, raw scores, or an embedding, which is left as it is."""

LEAST_LOG = -9999.0
"""The logarithm that stands for a probability of nothing, as OpenAI-compatible servers write it."""

_TOLERANCE = 0.02
_NAMES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("log_probabilities", re.compile(r"log_?-?prob")),
    ("logits", re.compile(r"logit|raw_?scores?|margin|decision_function|energy")),
    ("probabilities", re.compile(r"prob|softmax|sigmoid|scores?\b|_scores?$|confidence|likelihood")),
    ("embedding", re.compile(r"embedding|hidden_state|feature")),
)


def kind_of(name: str) -> Kind | None:
    """Return what numbers are by the name that they bear, or none where it does not say."""
    plain = name.lower()
    return next((kind for kind, pattern in _NAMES if pattern.search(plain)), None)


def kind_by_values(value: Any) -> Kind | None:
    """Return what unnamed numbers are: shares that add up to one are probabilities, other fractions raw scores.

    Whole numbers, texts and what has no numbers are none of these.
    """
    rows = list(_rows(value))
    if not any(isinstance(number, float) for row in rows for number in row):
        return None
    return "probabilities" if all(_is_distribution(row) for row in rows) else "logits"


def kind_of_scores(value: Mapping[str, Any]) -> Kind | None:
    """Return what the numbers of an object are that has numbers alone, two at least, and fractions among them."""
    numbers = [one for one in value.values() if isinstance(one, int | float) and not isinstance(one, bool)]
    return kind_by_values(numbers) if len(numbers) == len(value) > 1 else None


def has_fraction(value: Any) -> bool:
    """Whether there is a number that is no whole one."""
    if isinstance(value, Mapping):
        return any(map(has_fraction, value.values()))
    return any(map(has_fraction, value)) if isinstance(value, list) else isinstance(value, float)


def rounded(value: Any, decimals: int, kind: Kind) -> Any:
    """Return numbers, lists of them or objects with them, so that each probability has ``decimals`` digits at most.

    What is no logarithm of a share, as the bytes of a token beside it, stays as it is.
    """
    if isinstance(value, Mapping):
        return {name: rounded(one, decimals, kind) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one, decimals, kind) for one in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if kind == "log_probabilities":
        if value > 0:
            return value
        share = round(math.exp(value), decimals)
        return math.log(share) if share > 0.0 else LEAST_LOG
    return round(value, decimals) if isinstance(value, float) else value


def best(value: Any) -> Any:
    """Return the place of the highest number of each innermost list of numbers; none where there is anything else."""
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
        return max(range(len(value)), key=lambda at: value[at])
    places = [best(one) for one in value]
    return None if None in places else places


def _rows(value: Any) -> Any:
    """Give out each innermost list of numbers."""
    if not isinstance(value, list):
        return
    numbers = [one for one in value if isinstance(one, int | float) and not isinstance(one, bool)]
    if numbers:
        yield numbers
    for one in value:
        yield from _rows(one)


def _is_distribution(row: Sequence[float]) -> bool:
    return len(row) > 1 and all(0.0 <= one <= 1.0 for one in row) and abs(math.fsum(row) - 1.0) <= _TOLERANCE
