"""The report's pictures, as inline SVG that takes its ink from the page, so that light and dark both read well."""

import io
import json
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from controlplane.sidecar.folders import product_folder
from evaluation.demo.outcome import RUNS, Outcome
from evaluation.demo.scene import NEWCOMER_TRUST

INK = "#010203"
BLUE, ORANGE, RED, GREEN = "#3b82c4", "#d98324", "#d1495b", "#3c9d6b"
RUN_COLOURS = dict(zip(RUNS, (BLUE, RED, GREEN), strict=True))
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
OUTCOME_COLOURS = {"allow": GREEN, "deny": RED, "error": ORANGE}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ztfm",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.2,
    "grid.color": INK,
}


def worth_by_round(outcome: Outcome) -> str:
    """Accuracy and attack success after each round, for each federation."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        for run in RUNS:
            turns = range(1, len(outcome.histories[run]) + 1)
            values = [(worth.accuracy, worth.attack_success) for worth in outcome.histories[run]]
            for axes, series in zip((left, right), zip(*values, strict=True), strict=True):
                axes.plot(turns, series, marker="o", markersize=3, color=RUN_COLOURS[run], label=run)
        _label(left, "accuracy on unseen templates", "round", "share")
        _label(right, f"attack success of “{outcome.trigger}”", "round", "share")
        for axes in (left, right):
            axes.set_ylim(-0.03, 1.03)
        left.legend(loc="lower right")
        return svg(figure, "accuracy and attack success by round")


def trust_by_round(outcome: Outcome) -> str:
    """Each device's trust after each of its updates."""
    limits = _limits()
    lines = {
        "full answers": limits["trust"]["full"],
        "takes part": limits["sensitivities"]["internal"]["trust_minimum"],
    }
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        axes = figure.subplots()
        for device in sorted({seen.device for seen in outcome.sightings}):
            seen = {s.turn: s.trust for s in outcome.sightings if s.device == device and s.trust is not None}
            turns, trust = [0, *seen], [NEWCOMER_TRUST, *seen.values()]
            hostile = device in outcome.attackers
            axes.plot(turns, trust, color=RED if hostile else BLUE, alpha=0.9 if hostile else 0.5, marker=".")
        for words, level in lines.items():
            axes.axhline(level, color=INK, linewidth=0.8, linestyle=":")
            axes.annotate(words, (0.0, level), xycoords=("axes fraction", "data"), fontsize=8, va="bottom")
        axes.plot([], [], color=BLUE, label="honest")
        axes.plot([], [], color=RED, label="hostile")
        axes.legend(loc="lower right")
        axes.set_ylim(0, 1.03)
        _label(axes, "trust by device", "round", "trust")
        return svg(figure, "trust by device and round")


def evidence(outcome: Outcome) -> str:
    """What screening saw in each update, and where policy draws its lines."""
    limits = _limits()["evidence"]
    colours = {"honest": BLUE, "sign_flip": ORANGE, "backdoor": RED}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 3.4), layout="constrained")
        axes = figure.subplots()
        for kind, colour in colours.items():
            seen = [s for s in outcome.sightings if outcome.attackers.get(s.device, "honest") == kind]
            points = [s.cosine for s in seen], [s.norm_ratio for s in seen]
            axes.scatter(*points, s=16, color=colour, alpha=0.7, label=kind)
        axes.axvline(limits["cosine_minimum"], color=INK, linewidth=0.8, linestyle=":")
        axes.axhline(limits["norm_ratio_maximum"], color=INK, linewidth=0.8, linestyle=":")
        axes.set_yscale("log")
        axes.legend(fontsize=8)
        _label(axes, "evidence; dotted: policy's limits", "cosine to the reference", "norm over the median")
        return svg(figure, "evidence of all updates")


def decisions(outcome: Outcome) -> str:
    """Decisions by action and outcome."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 3.4), layout="constrained")
        axes = figure.subplots()
        actions = list(outcome.decisions)
        left = [0] * len(actions)
        for name, colour in OUTCOME_COLOURS.items():
            counts = [outcome.decisions[action].get(name, 0) for action in actions]
            axes.barh(actions, counts, left=left, color=colour, label=name)
            left = [before + count for before, count in zip(left, counts, strict=True)]
        axes.legend(fontsize=8, loc="lower right")
        axes.invert_yaxis()
        _label(axes, "decisions", "count", "")
        return svg(figure, "decisions by action and outcome")


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def svg(figure: Figure, title: str) -> str:
    """A figure that was drawn with `STYLE` as SVG; ``title`` is what it is called for those who do not see it."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata=NO_METADATA)
    text = file.getvalue()
    return (
        text[text.index("<svg") :]
        .replace(INK, "currentColor")
        .replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    )


def _limits() -> dict[str, Any]:
    file = product_folder("policies") / "data" / "limits" / "data.json"
    found: dict[str, Any] = json.loads(file.read_text())
    return found
