"""Rows: one cell beside those that it is held against, and all seeds of one cell together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evaluation.comparison.catalogue import Catalogue
from evaluation.comparison.cells import NATURAL, Cell
from evaluation.comparison.intervals import Mean, mean
from evaluation.comparison.masking import masked_bytes
from evaluation.comparison.measures import Measures, measures
from evaluation.comparison.results import Result
from evaluation.comparison.validity import counts, has_backdoor, points_lost

CALLED = "ztfm evaluate"

FLOAT_BYTES = 4

SHARE = 0.2
"""Of devices that are hostile, at which targets hold; shown first."""


@dataclass(frozen=True)
class Row:
    """All that was found out about a cell.

    Attributes:
        result: of its federation.
        clean: accuracy of plain averaging where nobody attacks; none where that was not run.
        counts: whether the attack does harm at all; none where it is not known.
        has_backdoor: plain averaging predicts the attacker's class at least half the time.
        names: what its attack may rightly be called.
        names_devices: whether its defence says of devices that they are hostile at all.
        called: the beginning of the command that runs it.
    """

    result: Result
    clean: float | None
    counts: bool | None
    has_backdoor: bool
    names: frozenset[str]
    names_devices: bool
    called: str = CALLED

    @property
    def cell(self) -> Cell:
        """Which one."""
        return self.result.cell

    @cached_property
    def measured(self) -> Measures:
        """How well attackers and honest devices were told apart."""
        return measures(self.result.sightings, self.names)

    @property
    def lost(self) -> float | None:
        """Points of accuracy below the clean federation's; none where that was not run."""
        return None if self.clean is None else points_lost(self.clean, self.result.accuracy)

    @property
    def masked_bytes_a_round(self) -> float:
        """What devices would send, on average, were the same updates added up under masks."""
        sent = self.result.updates_a_round
        return sent * masked_bytes(round(self.result.bytes_a_round / sent / FLOAT_BYTES)) if sent else 0.0

    @property
    def command(self) -> str:
        """What runs the cell, and those that it is held against, again."""
        cell, skew = self.cell, NATURAL if self.cell.skew is None else f"{self.cell.skew:g}"
        return (
            f"{self.called} --task {cell.task} --attack {cell.attack} --defence {cell.defence} "
            f"--skew {skew} --share {cell.share:g} --seeds {cell.seed}"
        )

    def to_json(self) -> dict[str, Any]:
        """The figures, flat: a line of the tables that are written."""
        found, result = self.measured, self.result
        attackers, rounds = found.rounds_to_quarantine, [r for r in found.rounds_to_quarantine.values() if r]
        rates = self.names_devices
        return {
            **self.cell.model_dump(),
            "counts": self.counts,
            "accuracy": result.accuracy,
            "clean_accuracy": self.clean,
            "points_lost": self.lost,
            "worst_client": result.worst_client,
            "attack_success": result.attack_success,
            "peak_attack_success": result.peak_attack_success,
            "true_positive_rate": found.true_positive_rate if rates else None,
            "false_positive_rate": found.false_positive_rate if rates else None,
            "ranking": found.ranking,
            "attackers": len(attackers),
            "attackers_caught": found.caught,
            "slowest_quarantine": max(rounds) if rounds and len(rounds) == len(attackers) else None,
            "honest_quarantined": len(found.honest_quarantined),
            "attribution": found.attribution,
            "rounds_undone": result.undone,
            "bytes_a_round": result.bytes_a_round,
            "masked_bytes_a_round": self.masked_bytes_a_round,
            "aggregation_ms": result.aggregation_ms,
            "decisions_a_round": result.decisions_a_round,
            "decision_ms": result.decision_ms,
            "defence_cpu_seconds": result.defence_cpu_seconds,
            "cpu_seconds": result.cpu_seconds,
            "wall_seconds": result.wall_seconds,
            "revision": result.revision,
            "command": self.command,
        }


def rows(found: Mapping[Cell, Result], catalogue: Catalogue, called: str = CALLED) -> list[Row]:
    """A row for each result.

    Args:
        found: results by cell.
        catalogue: what they are of.
        called: the beginning of the command that runs each.
    """
    return [
        Row(
            result=result,
            clean=found[cell.unharmed].accuracy if cell.unharmed in found else None,
            counts=counts(cell, found),
            has_backdoor=has_backdoor(cell, found),
            names=catalogue.attacks[cell.attack].names,
            names_devices=catalogue.defences[cell.defence].names_devices,
            called=called,
        )
        for cell, result in found.items()
    ]


@dataclass(frozen=True)
class Summary:
    """The seeds of a cell together.

    Attributes:
        rows: one a seed, at least one.
    """

    rows: Sequence[Row]

    @property
    def cell(self) -> Cell:
        """The one of the first seed."""
        return self.rows[0].cell

    @property
    def counting(self) -> Sequence[Row]:
        """Rows of seeds at which the attack does harm."""
        return [row for row in self.rows if row.counts]

    def mean(self, of: Callable[[Row], float | None]) -> Mean | None:
        """The mean of a figure over the seeds that count, or over all where none does."""
        return mean(of(row) for row in self.counting or self.rows)


def summaries(found: Iterable[Row]) -> list[Summary]:
    """Rows of one task, skew, share, attack and defence together, in the order in which those first appear."""
    groups: dict[tuple[str, float | None, float, str, str], list[Row]] = {}
    for row in found:
        cell = row.cell
        groups.setdefault((cell.task, cell.skew, cell.share, cell.attack, cell.defence), []).append(row)
    return [Summary(sorted(group, key=lambda row: row.cell.seed)) for group in groups.values()]


def by_field(found: Iterable[Summary]) -> list[tuple[str, list[Summary]]]:
    """Summaries by task, skew and share of attackers, with what those are in words; the least skewed first.

    Where nobody attacks belongs to every share of its task and skew.
    """
    groups: dict[tuple[str, float, float], list[Summary]] = {}
    ordered = sorted(found, key=lambda one: (one.cell.field[:2], one.cell.share != SHARE, one.cell.share))
    for one in ordered:
        if not one.cell.is_clean:
            groups.setdefault((*one.cell.field[:2], one.cell.share), []).append(one)
    cleans = [one for one in ordered if one.cell.is_clean]
    for clean in cleans:
        fields = [key for key in groups if key[:2] == clean.cell.field[:2]]
        for key in fields or [(*clean.cell.field[:2], 0.0)]:
            groups.setdefault(key, []).append(clean)
    return [(_title(key, group), sorted(group, key=lambda one: not one.cell.is_clean)) for key, group in groups.items()]


def _title(key: tuple[str, float, float], group: Sequence[Summary]) -> str:
    share = f", {key[2]:.0%} of devices hostile" if key[2] else ""
    return f"{key[0]}, {group[0].cell.spread}{share}"
