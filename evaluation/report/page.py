"""The report: one HTML file that needs nothing but itself."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from evaluation.comparison.layers import VARIANTS
from evaluation.comparison.rows import Summary, by_field
from evaluation.comparison.targets import (
    LEAST_TRUE_POSITIVE_RATE,
    MOST_ATTACK_SUCCESS,
    MOST_FALSE_POSITIVE_RATE,
    MOST_POINTS_LOST,
)
from evaluation.demo.report import STYLE
from evaluation.report import plots
from evaluation.report.hardening import hardening
from evaluation.report.tables import FIGURES, Table, costs, defences, matrix, missed, parts, tried
from evaluation.report.words import NOT_RUN, READING, Findings

WIDE = "body { max-width: 84rem; } p { max-width: 56rem; } summary { cursor: pointer; } td { white-space: nowrap; }"

ASKED = (
    "Many devices train one model together, and some of them are hostile. Which defence keeps the model's accuracy, "
    "keeps attacks out, finds the attackers, leaves honest devices alone, and at which price? Attacks are tried "
    "against defences in the same federations, on devices' data that are more and less alike, with several seeds."
)

CELL_HEADS = (
    "cell",
    "counts",
    "accuracy",
    "points lost",
    "worst device",
    "attack success",
    "at its peak",
    "true positives",
    "false positives",
    "quarantined",
    "honest quarantined",
    "ms a round",
    "again",
)


def write_page(found: Findings, path: Path) -> None:
    """Write the report to ``path``; folders are made as needed.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(found), encoding="utf-8")


def render(found: Findings) -> str:
    """The report as one HTML document."""
    parts = (
        _head(),
        f"<p>{escape(ASKED)}</p>",
        f"<p>{escape(found.counted)} {escape(found.cost)}</p>",
        "<h2>How to read it</h2>",
        *(f"<p>{escape(words)}</p>" for words in READING),
        "<h2>Where this system misses its targets</h2>",
        *_missed(found),
        *(part for title, group in by_field(found.summaries) for part in _field(found, title, group)),
        "<h2>Adversarial training</h2>",
        *_hardening(),
        "<h2>What the defences are</h2>",
        _layers(found),
        "<h2>Every cell</h2>",
        _cells(found),
        "<h2>How to run it again</h2>",
        f"<pre>{escape(found.command)}</pre>",
        "<p>What was run before with the same code and policies is not run again; each line above has the command of "
        "its own cell. Milliseconds and seconds depend on the machine and on what else it does.</p>",
    )
    return "\n".join(parts) + "\n</body>\n</html>\n"


def _head() -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>ZTFM: attacks and defences compared</title>\n<style>{STYLE}{WIDE}</style>\n</head>\n<body>\n"
        "<h1>Attacks and defences compared</h1>"
    )


def _missed(found: Findings) -> Iterable[str]:
    allowed = ", ".join(f"{points:g} at Dirichlet {skew:g}" for skew, points in MOST_POINTS_LOST.items())
    yield (
        "<p>Targets, with a fifth of the devices hostile: true positive rate at least "
        f"{LEAST_TRUE_POSITIVE_RATE:g}, false positive rate at most {MOST_FALSE_POSITIVE_RATE:g}, backdoor success at "
        f"the end at most {MOST_ATTACK_SUCCESS:g}, points of accuracy lost at most {allowed}, and no honest device "
        "quarantined where nobody attacks. They are held against means over seeds.</p>"
    )
    if not found.rows:
        yield f"<p>{NOT_RUN}</p>"
    elif found.misses:
        yield _table(missed(found.misses, found.catalogue))
    else:
        yield "<p>None of those that were run.</p>"


def _field(found: Findings, title: str, group: Sequence[Summary]) -> Iterable[str]:
    yield f"<h2>{escape(title)}</h2>"
    first = group[0].cell
    for part in parts(group):
        yield from _compared(found, title, part)
    for name, figure in FIGURES.items():
        table = matrix(group, figure, found.catalogue)
        if any(word for line in table.lines for word in line[1:]):
            yield f"<h3>{escape(name[0].upper() + name[1:])}</h3>"
            yield _table(table)
    skew = "natural" if first.skew is None else f"{first.skew:g}"
    yield f"<pre>{escape(found.called)} --task {escape(first.task)} --skew {skew}</pre>"


def _compared(found: Findings, title: str, part: Sequence[Summary]) -> Iterable[str]:
    yield plots.trade_off(part, found.catalogue, title)
    two, three = plots.fronts(plots.spots(part))
    if not three:
        yield "<p>No attack that counts was tried against more than one defence here.</p>"
        return
    on, beside = (_titles(found, names) for names in (two, three - two))
    yield (
        f"<p>Nothing beats in both accuracy and attack success: {escape(on)}. "
        + (f"Nor, once the time for a round counts: {escape(beside)}. " if beside else "")
        + "Means are over the attacks that count and that every defence here met: "
        f"{escape(tried(part, found.catalogue))}. The larger the spot, the longer a round takes; blue spots are on the "
        "front of all three.</p>"
    )
    yield _table(defences(part, found.catalogue))
    yield "<h3>What it costs</h3>"
    yield _table(costs(part, found.catalogue))


def _hardening() -> Iterable[str]:
    read = hardening()
    if read is None:
        yield f"<p>{NOT_RUN}</p>"
        return
    yield (
        "<p>Not against hostile updates, but against inputs that are perturbed when the model is asked: devices learn "
        "each batch from the worst that is found near it, too. Sentence vectors have length 1; a radius is how far "
        "they are moved.</p>"
    )
    yield _table(read[0])
    yield f"<pre>{escape(read[1])}</pre>"


def _titles(found: Findings, names: Iterable[str]) -> str:
    return ", ".join(sorted(found.catalogue.defences[name].title for name in names))


def _layers(found: Findings) -> str:
    used = {row.cell.defence for row in found.rows}
    says = {layers.name: layers.says for layers in VARIANTS}
    lines = [
        (name, shield.title, says.get(name, shield.says))
        for name, shield in found.catalogue.defences.items()
        if name in used
    ]
    return _table(Table(("name", "title", "what it is"), lines))


def _cells(found: Findings) -> str:
    table = Table(CELL_HEADS, [_cell(row.to_json(), str(row.cell)) for row in found.rows])
    return f"<details><summary>{len(found.rows)} cells</summary>{_table(table)}</details>"


def _cell(row: dict[str, object], name: str) -> Sequence[str]:
    shown = ("accuracy", "points_lost", "worst_client", "attack_success", "peak_attack_success")
    rates = ("true_positive_rate", "false_positive_rate")
    return (
        name,
        {True: "yes", False: "no", None: "not known"}[row["counts"]],  # type: ignore[index]
        *(_number(row[key]) for key in (*shown, *rates)),
        f"{row['attackers_caught']} of {row['attackers']}",
        str(row["honest_quarantined"]),
        _number(row["aggregation_ms"]),
        str(row["command"]),
    )


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)


def _table(table: Table) -> str:
    heads = "".join(f"<th>{escape(text)}</th>" for text in table.heads)
    body = "".join(
        "<tr>" + "".join(f'<td class="number">{escape(word)}</td>' for word in line) + "</tr>\n" for line in table.lines
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n<tbody>{body}</tbody></table></div>'
