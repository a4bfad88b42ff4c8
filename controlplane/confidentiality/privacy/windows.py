"""Windows of whole days (UTC), and when what was charged in them leaves room again."""

from collections import Counter
from collections.abc import Callable, Mapping

from controlplane.contracts.privacy import Mechanism

DAY_SECONDS = 86_400

Days = Mapping[int, Mapping[Mechanism, int]]
"""How often what was charged, by day since 1970 (UTC); days below 0 are of no window."""


def first_day(now: float, window_days: int) -> int:
    """Return the first day of the window that ends with the day of ``now`` (Unix seconds)."""
    return int(now // DAY_SECONDS) - window_days + 1


def counted(days: Days, first: int | None = None) -> dict[Mechanism, int]:
    """Return how often what was charged from a day on; with none, ever."""
    found: Counter[Mechanism] = Counter()
    for day, charged in days.items():
        if first is None or (day >= 0 and day >= first):
            found.update(charged)
    return {mechanism: count for mechanism, count in found.items() if count > 0}


def returns_on(days: Days, now: float, window_days: int, fits: Callable[[Mapping[Mechanism, int]], bool]) -> int | None:
    """Return the first day on which the window has room again, where nothing is charged until then.

    Args:
        days: what was charged.
        now: Unix seconds.
        window_days: of the budget.
        fits: whether one more can be charged beside what is counted; once it can, it can beside less.

    Returns:
        The day since 1970 (UTC), today where there is room; none where not even an empty window has any.
    """
    first = first_day(now, window_days)
    if not fits({}):
        return None
    # The window can begin on the first day that is charged within it, or on the day after one that is.
    begins = sorted({first, *(day + 1 for day in days if day >= first)})
    low, high = 0, len(begins) - 1
    while low < high:
        middle = (low + high) // 2
        if fits(counted(days, begins[middle])):
            high = middle
        else:
            low = middle + 1
    return begins[low] + window_days - 1
