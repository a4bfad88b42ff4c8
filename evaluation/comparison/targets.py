"""What this system promises of itself in the comparison, and where it misses."""

from collections.abc import Iterable
from dataclasses import dataclass

from evaluation.comparison.layers import OWN
from evaluation.comparison.rows import SHARE, Row, Summary

LEAST_TRUE_POSITIVE_RATE = 0.97
MOST_FALSE_POSITIVE_RATE = 0.026
MOST_ATTACK_SUCCESS = 0.02
MOST_POINTS_LOST = {0.5: 1.0, 0.1: 4.0}
"""By skew."""

HELD_AGAINST = frozenset({"ztfm", OWN})
"""The defences that targets are for: this system whole, also with an author's own policies."""


@dataclass(frozen=True)
class Miss:
    """A target that was not reached.

    Attributes:
        summary: where.
        target: in words.
        found: the figure, in words.
    """

    summary: Summary
    target: str
    found: str


def misses(found: Iterable[Summary]) -> list[Miss]:
    """Every target that the whole system misses, where an attack does harm and where nobody attacks."""
    return [miss for summary in found if _is_held(summary) for miss in _of(summary)]


def _is_held(summary: Summary) -> bool:
    cell = summary.cell
    return cell.defence in HELD_AGAINST and (cell.is_clean or (cell.share == SHARE and bool(summary.counting)))


def _of(summary: Summary) -> Iterable[Miss]:
    cell = summary.cell
    rate = summary.mean(lambda row: row.measured.true_positive_rate)
    if not cell.is_clean and (rate is None or rate.value < LEAST_TRUE_POSITIVE_RATE):
        yield Miss(summary, f"true positives at least {LEAST_TRUE_POSITIVE_RATE:g}", rate.text if rate else "unknown")
    rate = summary.mean(lambda row: row.measured.false_positive_rate)
    if rate is None or rate.value > MOST_FALSE_POSITIVE_RATE:
        yield Miss(summary, f"false positives at most {MOST_FALSE_POSITIVE_RATE:g}", rate.text if rate else "unknown")
    success = summary.mean(_success)
    if success is not None and success.value > MOST_ATTACK_SUCCESS:
        yield Miss(summary, f"backdoor success at the end at most {MOST_ATTACK_SUCCESS:g}", success.text)
    most, lost = points_allowed(cell.skew), summary.mean(lambda row: row.lost)
    if lost is None or lost.value > most:
        yield Miss(summary, f"points lost at most {most:g}", lost.text if lost else "unknown")
    wronged = sum(len(row.measured.honest_quarantined) for row in summary.rows)
    if cell.is_clean and wronged:
        yield Miss(summary, "no honest device quarantined where nobody attacks", str(wronged))


def _success(row: Row) -> float | None:
    return row.result.attack_success if row.has_backdoor else None


def points_allowed(skew: float | None) -> float:
    """How many points may be lost; of the skew that is nearest to one that a target is set for."""
    if skew is None:
        return min(MOST_POINTS_LOST.values())
    return MOST_POINTS_LOST[min(MOST_POINTS_LOST, key=lambda known: abs(known - skew))]
