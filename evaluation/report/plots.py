"""The comparison's pictures, as inline SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10

import matplotlib as mpl
from matplotlib.figure import Figure

from evaluation.comparison.catalogue import Catalogue
from evaluation.comparison.fronts import front
from evaluation.comparison.intervals import mean
from evaluation.comparison.rows import Summary
from evaluation.demo.plots import BLUE, INK, ORANGE, STYLE, svg
from evaluation.report.tables import FIGURES, comparable, over

CHEAPEST_MS = 0.1


@dataclass(frozen=True)
class Spot:
    """A defence in the trade-off.

    Attributes:
        lost: points of accuracy, mean over attacks and seeds.
        success: of backdoors at the end, mean over those attacks that are; 0 where none is.
        milliseconds: that it takes for a round.
    """

    lost: float
    success: float
    milliseconds: float


def spots(found: Sequence[Summary]) -> dict[str, Spot]:
    """Where each defence stands, over the attacks that all of them were tried against."""
    placed = {}
    for name, rows in comparable(found).items():
        lost = mean(over(rows, FIGURES["points of accuracy lost"]))
        success = mean(over(rows, FIGURES["attack success at the end"]))
        took = mean(over(rows, lambda row: row.result.aggregation_ms))
        if lost is not None and took is not None:
            placed[name] = Spot(lost.value, success.value if success else 0.0, took.value)
    return placed


def fronts(placed: Mapping[str, Spot]) -> tuple[set[str], set[str]]:
    """Who is on the front of accuracy and attack success, and who once cost counts too."""
    two = front({name: (spot.lost, spot.success) for name, spot in placed.items()})
    three = front({name: (spot.lost, spot.success, spot.milliseconds) for name, spot in placed.items()})
    return two, three


def trade_off(found: Sequence[Summary], catalogue: Catalogue, title: str) -> str:
    """Accuracy kept against attack success; the larger the spot, the dearer the defence. Empty where nothing counts."""
    placed = spots(found)
    if not placed:
        return ""
    two, three = fronts(placed)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        axes = figure.subplots()
        line = sorted((placed[name].lost, placed[name].success) for name in two)
        axes.plot(*zip(*line, strict=True), color=INK, linewidth=0.8, linestyle=":", label="Pareto front")
        for number, (name, spot) in enumerate(placed.items(), 1):
            colour = BLUE if name in three else ORANGE
            axes.scatter([spot.lost], [spot.success], s=_area(spot.milliseconds), color=colour, alpha=0.55)
            axes.annotate(str(number), (spot.lost, spot.success), fontsize=8, ha="center", va="center")
            axes.plot([], [], " ", label=f"{number} {catalogue.defences[name].title}, {spot.milliseconds:.1f} ms")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
        axes.margins(0.12)
        axes.set_xlabel("points of accuracy lost (left is better)")
        axes.set_ylabel("attack success (down is better)")
        return svg(figure, f"trade-off of accuracy and attack success: {title}")


def _area(milliseconds: float) -> float:
    return 60.0 + 90.0 * max(0.0, log10(max(milliseconds, CHEAPEST_MS) / CHEAPEST_MS))
