"""What is told of a measurement: one row for each scenario and variant."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evaluation.guarantee.results import Seen, heterogeneity, quarantined, rounds_to_quarantine

GROUPS = ("honest", "shifted", "hostile")


def rows(seen: Sequence[Seen], levels: Sequence[float], assumed: float) -> list[dict[str, Any]]:
    """Return a row for each scenario and variant, in the order in which they were seen.

    Args:
        seen: all that was.
        levels: that are bet on.
        assumed: heterogeneity.
    """
    keys = dict.fromkeys((one.scenario, one.variant) for one in seen)
    return [_row(*key, [one for one in seen if (one.scenario, one.variant) == key], levels, assumed) for key in keys]


def table(found: Mapping[str, Any]) -> str:
    """Return a report as text."""
    head = (
        f"quarantined within {found['rounds']} rounds, against a promise of {found['alpha']:.1%}"
        f" (horizon {found['horizon']}, heterogeneity {found['heterogeneity']:g})"
    )
    return "\n".join([head, *(line for row in found["rows"] for line in ("", *_lines(row)))])


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"{row['scenario']}, {row['variant']}"
    yield from (f"  {group}: {_shown(row[group])}" for group in GROUPS if row[group]["of"])
    if row["rounds_to_quarantine"] is not None:
        yield f"  hostile ones, median round: {row['rounds_to_quarantine']:g}"
    for one in row["heterogeneity"]:
        yield (
            f"  level {one['level']:g}: reached {one['mean']:.2f} times as often as its share of the pool;"
            f" 99th percentile of homes {one['top']:.1f} times (by chance alone {one['chance']:.1f})"
        )


def _row(scenario: str, variant: str, seen: Sequence[Seen], levels: Sequence[float], assumed: float) -> dict[str, Any]:
    return {
        "scenario": scenario,
        "variant": variant,
        **{group: quarantined(seen, group).figures() for group in GROUPS},
        "rounds_to_quarantine": rounds_to_quarantine(seen),
        "heterogeneity": [asdict(one) for one in heterogeneity(seen, levels, assumed)],
    }


def _shown(rate: Mapping[str, float]) -> str:
    return (
        f"{rate['count']} of {rate['of']} = {rate['share']:.2%} (95 % interval {rate['low']:.2%} to {rate['high']:.2%})"
    )
