"""From the times of rounds that took turns to the figures that are promised."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

BAR = 1.05
"""A guarded round takes at most this multiple of an unguarded one."""

MOST_REFUSED = 0.1
"""Of honest updates: a refused one costs as much as another, and the model is nearly the same.

Where devices train for long, some of theirs resemble their own earlier ones as replays do (`update_new`)."""


@dataclass(frozen=True)
class Timed:
    """One round's wall time, seconds.

    Attributes:
        before: until the weights are on their way: choosing, and where guarded the seal and the pulls.
        training: until the last answer came.
        after: until the next model is there: aggregation, and where guarded screening and verdicts.
        processor: processor time of all processes together, seconds; 0 where it was not measured.
    """

    before: float
    training: float
    after: float
    processor: float = 0.0

    @property
    def whole(self) -> float:
        """All of it."""
        return self.before + self.training + self.after


def is_guarded(number: int) -> bool:
    """Whether a round, from 1, is guarded: no, yes, yes, no, and so on, so that no drift favours one kind."""
    return number % 4 in {2, 3}


def figures(rounds: Sequence[Timed], *, unmeasured: int) -> dict[str, Any]:
    """Return the figures of rounds in the order of `is_guarded`, two of which make a pair.

    Ratio and difference are medians over the pairs, whose two rounds met the same noise.

    Args:
        rounds: an even number of them.
        unmeasured: pairs in front that warm everything up.
    """
    pairs = [_pair(rounds, at) for at in range(2 * unmeasured, len(rounds) - 1, 2)]
    unguarded, guarded = [plain for plain, _ in pairs], [kept for _, kept in pairs]
    ratio = statistics.median(kept.whole / plain.whole for plain, kept in pairs)
    return {
        "overhead_ratio": round(ratio, 4),
        "bar": BAR,
        "within_bar": ratio <= BAR,
        "overhead_seconds": round(statistics.median(kept.whole - plain.whole for plain, kept in pairs), 3),
        "unguarded_s": _median(unguarded, lambda one: one.whole),
        "guarded_s": _median(guarded, lambda one: one.whole),
        "processor_ratio": _processor_ratio(pairs),
        "unguarded_parts_s": _parts(unguarded),
        "guarded_parts_s": _parts(guarded),
        "ratios": [round(kept.whole / plain.whole, 3) for plain, kept in pairs],
        "pairs": len(pairs),
    }


def _pair(rounds: Sequence[Timed], at: int) -> tuple[Timed, Timed]:
    """The unguarded round and the guarded one of two neighbours."""
    first, second = rounds[at], rounds[at + 1]
    return (second, first) if is_guarded(at + 1) else (first, second)


def _processor_ratio(pairs: Sequence[tuple[Timed, Timed]]) -> float | None:
    if not all(plain.processor for plain, _ in pairs):
        return None
    return round(statistics.median(kept.processor / plain.processor for plain, kept in pairs), 4)


def _median(rounds: Sequence[Timed], of: Callable[[Timed], float]) -> float:
    return round(statistics.median(map(of, rounds)), 3)


def _parts(rounds: Sequence[Timed]) -> dict[str, float]:
    return {name: round(statistics.median(asdict(one)[name] for one in rounds), 3) for name in asdict(rounds[0])}
