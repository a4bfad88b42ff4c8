"""Adversarial training beside the defences: its cost and its gain, read from the page that they stand on."""

from pathlib import Path

from evaluation.coverage.figures import DOCS, Figure, NoSuchFigure, find
from evaluation.report.tables import Table

PAGE, UNDER = "evaluation-adversarial.md", "<!-- adversarial -->"

LINES = ("nothing", "a radius of 0.15", "a radius of 0.3")
COLUMNS = (
    "accuracy",
    "accuracy at 0.15",
    "accuracy at 0.3",
    "processor time of training, s",
    "over plain training",
)


def hardening(docs: Path = DOCS) -> tuple[Table, str] | None:
    """What devices' adversarial training costs and gains, and the command that measures it; none where it was not run.

    Args:
        docs: folder of the page.
    """
    try:
        found = {line: [find(Figure(line, PAGE, UNDER, line, column), docs) for column in COLUMNS] for line in LINES}
    except (NoSuchFigure, OSError):
        return None
    lines = [(line, *(one.value for one in cells)) for line, cells in found.items()]
    return Table(("trained against", *COLUMNS), lines), found[LINES[0]][0].command
