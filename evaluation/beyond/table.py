"""What came of attacks, as a table: in the terminal and between the marks of a document."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import between, number
from evaluation.beyond.attempt import Attempt, Tally

HEADER = (
    "attack",
    "the attacker has",
    "he tries",
    "protection",
    "he gets it",
    "without",
    "switched off",
    "ms a decision",
    "who notices",
    "also",
)


def rows(attempts: Sequence[Attempt]) -> list[tuple[str, ...]]:
    """Return a row for each attempt; the first cell tells them apart."""
    return [
        (
            f"{attempt.attack}: {attempt.protection}",
            attempt.has,
            attempt.tries,
            attempt.protection,
            _shown(attempt.on),
            _shown(attempt.off),
            attempt.without,
            "" if attempt.decision_ms is None else number(attempt.decision_ms),
            attempt.noticed,
            "; ".join(f"{name}: {number(value)}" for name, value in attempt.figures.items()),
        )
        for attempt in attempts
    ]


def _shown(tally: Tally | None) -> str:
    if tally is None:
        return "not tried"
    if not tally.tried:
        return "not measured"
    low, high = tally.interval
    return f"{tally} ({low:.2f} to {high:.2f})"


def table(attempts: Sequence[Attempt]) -> str:
    """Return the table in Markdown."""
    lines = [HEADER, ["---"] * len(HEADER), *rows(attempts)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(path: Path, attempts: Sequence[Attempt]) -> None:
    """Write the table between the marks of a document; rows of attacks that were not tried stay as they are.

    Raises:
        ValueError: it has no such marks.
    """
    path.write_text(between(path.read_text(), "beyond", HEADER, rows(attempts)))
