"""Tables of the comparison, once, for the page and for the document."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.comparison.catalogue import Catalogue
from evaluation.comparison.intervals import Mean, mean
from evaluation.comparison.rows import Row, Summary
from evaluation.comparison.targets import Miss

Figure = Callable[[Row], float | None]

FIGURES: Mapping[str, Figure] = {
    "points of accuracy lost": lambda row: row.lost,
    "attack success at the end": lambda row: row.result.attack_success if row.has_backdoor else None,
    "true positive rate": lambda row: row.measured.true_positive_rate if row.names_devices else None,
    "false positive rate": lambda row: row.measured.false_positive_rate if row.names_devices else None,
}
"""What is shown of every attack under every defence."""

OF_DEFENCES: Mapping[str, Figure] = {
    "accuracy": lambda row: row.result.accuracy,
    "points lost": FIGURES["points of accuracy lost"],
    "worst device's accuracy": lambda row: row.result.worst_client,
    "backdoor success, peak": lambda row: row.result.peak_attack_success if row.has_backdoor else None,
    "after rollback": FIGURES["attack success at the end"],
    "true positives": FIGURES["true positive rate"],
    "false positives": FIGURES["false positive rate"],
    "ranking": lambda row: row.measured.ranking,
    "rounds to quarantine": lambda row: _slowest(row),
    "named rightly": lambda row: row.measured.attribution,
}

COSTS: Mapping[str, Figure] = {
    "aggregation, ms a round": lambda row: row.result.aggregation_ms,
    "decisions a round": lambda row: row.result.decisions_a_round or None,
    "ms a decision": lambda row: row.result.decision_ms,
    "KiB a round, plain": lambda row: row.result.bytes_a_round / 1024,
    "KiB a round, masked": lambda row: row.masked_bytes_a_round / 1024,
    "processor seconds, defence": lambda row: row.result.defence_cpu_seconds,
    "processor seconds, all": lambda row: row.result.cpu_seconds,
    "wall seconds, all": lambda row: row.result.wall_seconds,
}


@dataclass(frozen=True)
class Table:
    """A table of words.

    Attributes:
        heads: of the columns.
        lines: as many words each.
    """

    heads: Sequence[str]
    lines: Sequence[Sequence[str]]


def matrix(found: Sequence[Summary], figure: Figure, catalogue: Catalogue) -> Table:
    """A figure of every attack under every defence that met one; those that do no harm are marked, and do not count."""
    attacked = [one for one in found if not one.cell.is_clean] or found
    defences = list(dict.fromkeys(one.cell.defence for one in attacked))
    attacks: dict[str, dict[str, Summary]] = {}
    for one in found:
        attacks.setdefault(one.cell.attack, {})[one.cell.defence] = one
    return Table(
        ("attack", *(catalogue.defences[name].title for name in defences)),
        [
            (_attack(name, of, catalogue), *(_word(of.get(defence), figure) for defence in defences))
            for name, of in attacks.items()
        ],
    )


def defences(found: Sequence[Summary], catalogue: Catalogue) -> Table:
    """Every defence over the attacks that count and that all were tried against, means over attacks and seeds."""
    return Table(
        ("defence", *OF_DEFENCES, "honest devices quarantined", "attacks"),
        [
            (
                catalogue.defences[name].title,
                *(_text(mean(over(rows, figure))) for figure in OF_DEFENCES.values()),
                str(sum(len(row.measured.honest_quarantined) for row in rows)),
                str(len({row.cell.attack for row in rows})),
            )
            for name, rows in comparable(found).items()
        ],
    )


def costs(found: Sequence[Summary], catalogue: Catalogue) -> Table:
    """What every defence costs, means over the same attacks and seeds."""
    return Table(
        ("defence", *COSTS),
        [
            (catalogue.defences[name].title, *(_text(mean(over(rows, figure)), 1) for figure in COSTS.values()))
            for name, rows in comparable(found).items()
        ],
    )


def comparable(found: Iterable[Summary]) -> dict[str, list[Row]]:
    """Rows that count, by defence, of those attacks alone that all of these defences were tried against."""
    rows: dict[str, list[Row]] = {}
    for one in found:
        if not one.cell.is_clean and one.counting:
            rows.setdefault(one.cell.defence, []).extend(one.counting)
    common = _common(rows.values())
    kept = {name: [row for row in of if (row.cell.attack, row.cell.seed) in common] for name, of in rows.items()}
    return {name: of for name, of in kept.items() if of}


def parts(found: Sequence[Summary]) -> list[Sequence[Summary]]:
    """What is compared together, so that a defence that met few attacks does not narrow the comparison of the others.

    Returns:
        Of the defences that met more than half as many attacks as the one that met most; and of all of them, where
        some met fewer: those are compared over the few that all met.
    """
    met: dict[str, set[str]] = {}
    for one in found:
        if not one.cell.is_clean and one.counting:
            met.setdefault(one.cell.defence, set()).add(one.cell.attack)
    most = max(map(len, met.values()), default=0)
    widely = {name for name, attacks in met.items() if 2 * len(attacks) > most}
    return [found] if widely == met.keys() else [[one for one in found if one.cell.defence in widely], found]


def tried(found: Iterable[Summary], catalogue: Catalogue) -> str:
    """The attacks that means over `comparable` rows are of, in words."""
    names = dict.fromkeys(row.cell.attack for rows in comparable(found).values() for row in rows)
    return "; ".join(catalogue.attacks[name].title for name in names)


def over(rows: Iterable[Row], figure: Figure) -> list[float | None]:
    """A figure by seed, each the mean over the attacks: seeds are independent of one another, attacks are not."""
    seeds: dict[int, list[float]] = {}
    for row in rows:
        value = figure(row)
        if value is not None:
            seeds.setdefault(row.cell.seed, []).append(value)
    return [sum(values) / len(values) for values in seeds.values()]


def missed(found: Sequence[Miss], catalogue: Catalogue) -> Table:
    """Every target that was missed."""
    return Table(
        ("task", "data", "attack", "defence", "target", "found"),
        [
            (
                one.summary.cell.task,
                one.summary.cell.spread,
                catalogue.attacks[one.summary.cell.attack].title,
                catalogue.defences[one.summary.cell.defence].title,
                one.target,
                one.found,
            )
            for one in found
        ],
    )


def _common(of: Iterable[Sequence[Row]]) -> set[tuple[str, int]]:
    sets = [{(row.cell.attack, row.cell.seed) for row in rows} for rows in of]
    return set.intersection(*sets) if sets else set()


def _attack(name: str, of: Mapping[str, Summary], catalogue: Catalogue) -> str:
    title = catalogue.attacks[name].title
    first = next(iter(of.values()))
    if first.cell.is_clean or first.counting:
        return title
    known = all(row.counts is not None for row in first.rows)
    return f"{title} (does no harm, does not count)" if known else f"{title} (not known whether it does harm)"


def _word(one: Summary | None, figure: Figure) -> str:
    return "" if one is None else _text(one.mean(figure))


def _text(found: Mean | None, digits: int = 3) -> str:
    return "" if found is None else found.rounded(digits)


def _slowest(row: Row) -> float | None:
    """Rounds until the last attacker stood apart; none where one never did."""
    found = list(row.measured.rounds_to_quarantine.values())
    known = [rounds for rounds in found if rounds is not None]
    return float(max(known)) if known and len(known) == len(found) else None
