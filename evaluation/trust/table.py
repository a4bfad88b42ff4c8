"""The matrix as Markdown: a summary over seeds, and every cell as it was measured, misses in bold."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from evaluation.trust.rows import Row

OPENING, CLOSING = "<!-- figures -->", "<!-- /figures -->"

SUMMARY_HEADS = (
    "attack",
    "accuracy clean",
    "unguarded",
    "guarded",
    "attack success unguarded",
    "guarded, peak",
    "guarded, final",
    "true positives",
    "false positives",
    "rounds to quarantine",
    "named rightly",
    "all bars held",
)
CELL_HEADS = ("attack", "seed", *SUMMARY_HEADS[1:10], "attackers caught", "honest quarantined", "named rightly", "held")


def summary(rows: Sequence[Row]) -> str:
    """A table for each skew with one line for each attack: means over the seeds, and the worst where it is said."""
    return "\n\n".join(
        f"Dirichlet {skew:g}, means over {_count(len({row.cell.seed for row in of_skew}), 'seed')}:\n\n"
        + _table(SUMMARY_HEADS, (_summed(of_attack) for of_attack in _by_attack(of_skew)))
        for skew, of_skew in _by_skew(rows)
    )


def cells(rows: Sequence[Row]) -> str:
    """A table for each skew with one line for each cell; what missed its bar is bold."""
    return "\n\n".join(
        f"Dirichlet {skew:g}:\n\n" + _table(CELL_HEADS, (_cell(row) for row in of_skew))
        for skew, of_skew in _by_skew(rows)
    )


def document(rows: Sequence[Row]) -> str:
    """Both tables, as they go into a document."""
    held = sum(row.bars.hold for row in rows)
    return (
        f"Of {_count(len(rows), 'cell')}, {held} reached every bar.\n\n{summary(rows)}\n\n"
        f"<details><summary>Every cell</summary>\n\n{cells(rows)}\n\n</details>"
    )


def write_between_marks(path: Path, text: str) -> None:
    """Put ``text`` between the marks of a document.

    Raises:
        ValueError: the document has no such marks.
        OSError: it cannot be read or written.
    """
    before, opening, rest = path.read_text(encoding="utf-8").partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not opening or not closing:
        raise ValueError(f"{path} has no {OPENING} and {CLOSING}")
    path.write_text(f"{before}{opening}\n{text}\n{closing}{after}", encoding="utf-8")


def _by_skew(rows: Sequence[Row]) -> list[tuple[float, list[Row]]]:
    ordered = sorted(rows, key=lambda row: -row.cell.skew)
    return [(skew, list(found)) for skew, found in groupby(ordered, key=lambda row: row.cell.skew)]


def _by_attack(rows: Sequence[Row]) -> list[list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.cell.scenario, []).append(row)
    return list(found.values())


def _summed(rows: Sequence[Row]) -> list[str]:
    first, measured = rows[0], [row.measured for row in rows]
    rates = [one.true_positive_rate for one in measured if one.true_positive_rate is not None]
    attackers = sum(len(one.rounds_to_quarantine) for one in measured)
    return [
        first.title,
        _mean(row.clean.accuracy for row in rows),
        _mean(row.unguarded.accuracy for row in rows),
        _mean(row.guarded.accuracy for row in rows),
        _mean(row.unguarded.attack_success for row in rows) if _is_backdoor(first) else "",
        _mean(row.peak_attack_success for row in rows) if _is_backdoor(first) else "",
        _mean(row.guarded.attack_success for row in rows) if _is_backdoor(first) else "",
        _mean(rates) if rates else "",
        _mean(one.false_positive_rate for one in measured),
        _rounds(rounds for one in measured for rounds in one.rounds_to_quarantine.values()),
        f"{sum(row.rightly_named for row in rows)} of {attackers}" if attackers else "",
        f"{sum(row.bars.hold for row in rows)} of {len(rows)}",
    ]


def _cell(row: Row) -> list[str]:
    measured, bars = row.measured, row.bars
    attackers = len(measured.rounds_to_quarantine)
    rate = measured.true_positive_rate
    return [
        row.title,
        str(row.cell.seed),
        f"{row.clean.accuracy:.3f}",
        f"{row.unguarded.accuracy:.3f}",
        _marked(f"{row.guarded.accuracy:.3f}", bars.accuracy),
        f"{row.unguarded.attack_success:.3f}",
        f"{row.peak_attack_success:.3f}",
        _marked(f"{row.guarded.attack_success:.3f}", bars.attack_success),
        "" if rate is None else _marked(f"{rate:.3f}", bars.true_positive_rate),
        _marked(f"{measured.false_positive_rate:.3f}", bars.false_positive_rate),
        _marked(_rounds(measured.rounds_to_quarantine.values()), bars.rounds),
        f"{measured.caught} of {attackers}" if attackers else "",
        str(len(measured.honest_quarantined)),
        f"{row.rightly_named} of {attackers}" if attackers else "",
        "yes" if bars.hold else "**no**",
    ]


def _rounds(found: Iterable[int | None]) -> str:
    """The fewest and the most rounds that it took, and how many attackers were never quarantined."""
    known, never = [], 0
    for rounds in found:
        if rounds is None:
            never += 1
        else:
            known.append(rounds)
    taken = f"{min(known)} to {max(known)}" if known else ""
    return ", ".join(part for part in (taken, f"{never} never" if never else "") if part)


def _is_backdoor(row: Row) -> bool:
    return row.scenario is not None and row.scenario.is_backdoor


def _marked(text: str, holds: bool) -> str:
    return text if holds else f"**{text}**"


def _mean(values: Iterable[float]) -> str:
    found = list(values)
    return f"{sum(found) / len(found):.3f}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, ["---"] * len(heads), *lines))
