"""What a candidate would change, for people: a table of groups, and the commands that show a decision of each."""

from collections.abc import Sequence
from typing import NamedTuple

import typer
from rich.console import Console
from rich.table import Table

ROWS = 40

TITLES = {
    "newly_denied": "would newly be denied",
    "newly_allowed": "would newly be allowed",
    "other_reasons": "would be denied for other reasons",
    "other_terms": "would be allowed on other terms",
}


class Row(NamedTuple):
    """A group of decisions that a candidate would change alike.

    Attributes:
        counts: decisions, and whatever else is counted, as in the titles.
        sample: id of one of them; empty when none is known.
    """

    change: str
    action: str
    reason: str
    segment: str
    counts: tuple[int, ...]
    sample: str


def show_groups(rows: Sequence[Row], titles: Sequence[str], candidate: str) -> None:
    """Print groups, and how to see why.

    Args:
        rows: the groups, the most important first.
        titles: of what is counted.
        candidate: the candidate's folder, as people can name it.
    """
    table = Table("change", "action", "reason", "segment", *titles)
    for row in rows[:ROWS]:
        table.add_row(row.change, row.action, row.reason, row.segment, *(f"{count:,}" for count in row.counts))
    Console().print(table)
    if len(rows) > ROWS:
        typer.echo(f"{len(rows) - ROWS} more groups: see --json")
    # A line of their own: a terminal is too narrow for an id within the table, and cut off it is of no use.
    typer.echo("why, of one decision of each:")
    for row in rows[:ROWS]:
        if row.sample:
            typer.echo(f"  ztfm policy explain {row.sample} --policies {candidate}")
