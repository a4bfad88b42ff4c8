"""What a fleet of a size needs: ``python -m benchmarks.capacity --devices 1000000 --json``.

Arithmetic from constants that were measured: they are read from one table, that of docs/capacity.md, which says where
each was measured. A simulation of one replica (`benchmarks.capacity_simulated`) says whether the load that is planned
for leaves requests waiting. Nothing is measured here.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from benchmarks.capacity_simulated import Costs, Replica, simulated

PAGE = Path(__file__).resolve().parents[1] / "docs" / "capacity.md"
DAY_SECONDS = 86_400.0
PLANNED_SHARE = 0.6
"""Of a core, at the peak: what is above it waits."""

LOG_SHARE = 0.5
"""Of what one log was measured to take: it has one writer at a time, and a peak is no average."""

REPLICA = Replica(workers=3, opa_cores=2)
"""What ``ztfm serve --workers 0`` takes of five cores."""

TABLE_SIZES = (10_000, 1_000_000, 100_000_000)


class ConstantsMissing(ValueError):  # noqa: N818 - named for what happened
    """The table of constants does not have what the model reads. The message says what, and where."""


@dataclass(frozen=True)
class Constants:
    """What was measured, as the table has it.

    Attributes:
        request_us: processor time of one decision over HTTP, all processes, microseconds.
        opa_us: of that, OPA's.
        opa_call_us: OPA's for one call, whatever it carries.
        opa_evaluation_us: OPA's for one decision in a call.
        group_us: the store's for one group of records.
        entry_us: for one record with its entry in the log.
        log_per_second: decisions that one log takes a second, with their records.
        record_bytes: of a decision's record.
        entry_bytes: of its entry, without the record.
        worker_bytes: memory of one worker.
        opa_bytes: memory of an OPA.
    """

    request_us: float
    opa_us: float
    opa_call_us: float
    opa_evaluation_us: float
    group_us: float
    entry_us: float
    log_per_second: float
    record_bytes: float
    entry_bytes: float
    worker_bytes: float
    opa_bytes: float

    @classmethod
    def read(cls, page: Path = PAGE) -> Self:
        """Return the constants of a page: rows of ``| `name` | figure | ...`` between its marks.

        Raises:
            ConstantsMissing: one is not there, or no number.
            OSError: the page cannot be read.
        """
        found = rows_of(page.read_text())
        missing = [one.name for one in fields(cls) if one.name not in found]
        if missing:
            raise ConstantsMissing(f"{page}: the table between <!-- constants --> lacks {', '.join(missing)}")
        return cls(**{one.name: float(found[one.name][0].replace(",", "")) for one in fields(cls)})


def rows_of(text: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of a page's table of constants by name: figure, unit, and what else there is."""
    table = text.partition("<!-- constants -->")[2].partition("<!-- /constants -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,.]+) \| (.+) \|$", table, re.MULTILINE)
    return {name: (figure, *(part.strip() for part in rest.split(" | "))) for name, figure, rest in rows}


@dataclass(frozen=True)
class Habits:
    """What a device does, which nobody measured: say your own.

    Attributes:
        rounds_a_day: in which it takes part; each is three decisions: pull, submit, admit.
        capabilities_a_day: for inference; one lasts five minutes, whatever is asked under it.
        others_a_day: enrolment, attestation, certificates, tokens.
        peak: the busiest minute over the average one.
        days: for how long decisions are kept.
        row_overhead: what pages, indexes and versions of rows add to what is stored.
    """

    rounds_a_day: float = 1.0
    capabilities_a_day: float = 20.0
    others_a_day: float = 1.0
    peak: float = 5.0
    days: float = 90.0
    row_overhead: float = 1.5

    @property
    def decisions_a_day(self) -> float:
        """Of one device."""
        return 3 * self.rounds_a_day + self.capabilities_a_day + self.others_a_day


def needs(devices: int, habits: Habits, measured: Constants) -> dict[str, float]:
    """Return what a fleet needs.

    Returns:
        Decisions a second on average and at the peak, cores of workers and of OPA at the peak, replicas (one more than
        are needed, two at least), memory of a replica in bytes, federations that the log has to be split into, rows
        and bytes that the store takes, for one federation and for all.
    """
    average = devices * habits.decisions_a_day / DAY_SECONDS
    peak = average * habits.peak
    worker_us = measured.request_us - measured.opa_us
    worker_cores = peak * worker_us / 1e6 / PLANNED_SHARE
    # Each decision in a call of its own: at this load few share one, as the simulation shows.
    opa_cores = peak * (measured.opa_call_us + measured.opa_evaluation_us) / 1e6 / PLANNED_SHARE
    federations = max(1, math.ceil(peak / (measured.log_per_second * LOG_SHARE)))
    busiest = max(worker_cores / REPLICA.workers, opa_cores / REPLICA.opa_cores)
    # Each federation has its own replicas, and a spare one.
    replicas = federations * max(2, math.ceil(busiest / federations) + 1)
    stored = (measured.record_bytes + measured.entry_bytes) * habits.row_overhead
    return {
        "decisions_per_second": average,
        "decisions_per_second_at_peak": peak,
        "worker_cores": worker_cores,
        "opa_cores": opa_cores,
        "replicas": replicas,
        "replica_memory_bytes": REPLICA.workers * measured.worker_bytes + measured.opa_bytes,
        "federations": federations,
        "rows_written_per_second_at_peak": 2 * peak,
        "bytes_written_per_second_at_peak": peak * stored,
        "store_bytes": devices * habits.decisions_a_day * habits.days * stored,
    }


def costs_of(measured: Constants) -> Costs:
    """Return the steps' costs for the simulation."""
    return Costs(
        work=(measured.request_us - measured.opa_us) / 1e6,
        call=measured.opa_call_us / 1e6,
        evaluation=measured.opa_evaluation_us / 1e6,
        group=measured.group_us / 1e6,
        record=measured.entry_us / 1e6,
    )


def report(devices: int, habits: Habits, measured: Constants, decisions: int = 20_000) -> dict[str, Any]:
    """Return what a fleet needs, what it follows from, and one replica of it simulated at its share of the peak."""
    found = needs(devices, habits, measured)
    # The spare one is away.
    serving = max(found["replicas"] - found["federations"], 1.0)
    rate = found["decisions_per_second_at_peak"] / serving
    shown = simulated(rate, REPLICA, costs_of(measured), decisions=decisions)
    return {
        "devices": devices,
        "needs": found,
        "simulated": {"decisions_per_second": rate, **asdict(shown)},
        "assumed": {**asdict(habits), "planned_share": PLANNED_SHARE, "log_share": LOG_SHARE, **asdict(REPLICA)},
        "measured": asdict(measured),
    }


def table(measured: Constants, habits: Habits | None = None) -> str:
    """Return the table of the page: what fleets of some sizes need."""
    found = {size: needs(size, habits or Habits(), measured) for size in TABLE_SIZES}
    head = "| | " + " | ".join(f"{size:,} devices" for size in TABLE_SIZES) + " |"
    lines = [head, "|---" * (1 + len(TABLE_SIZES)) + "|"]
    for title, name, unit in _ROWS:
        shown = (_shown(found[size][name], unit) for size in TABLE_SIZES)
        lines.append(f"| {title} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


_ROWS = (
    ("decisions a second, average", "decisions_per_second", ""),
    ("at the peak", "decisions_per_second_at_peak", ""),
    ("workers' cores", "worker_cores", ""),
    ("OPA's cores", "opa_cores", ""),
    ("federations (stores, logs)", "federations", "count"),
    ("replicas, all together", "replicas", "count"),
    ("rows written a second at the peak", "rows_written_per_second_at_peak", ""),
    ("written a second at the peak", "bytes_written_per_second_at_peak", "bytes"),
    ("decisions kept for 90 days", "store_bytes", "bytes"),
)


def _shown(value: float, unit: str) -> str:
    if unit == "count":
        return f"{value:,.0f}"
    if unit == "bytes":
        power = min(5, int(math.log10(value) // 3)) if value >= 1 else 0
        return f"{value / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _text(found: Mapping[str, Any]) -> str:
    needed, shown = found["needs"], found["simulated"]
    lines = [f"{found['devices']:,} devices"]
    lines += [f"  {title}: {_shown(needed[name], unit)}" for title, name, unit in _ROWS]
    lines.append(
        f"  a replica at its share of the peak: 99 % within {shown['p99_ms']:.1f} ms, {shown['batch']:.1f} decisions a "
        f"call, workers busy {shown['workers_busy']:.0%}, OPA {shown['opa_busy']:.0%} (simulated)"
    )
    return "\n".join(lines)


def main() -> int:
    """Print what a fleet needs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--devices", type=int, default=1_000_000)
    for one in fields(Habits):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=float, default=one.default)
    parser.add_argument("--table", action="store_true", help="print the table of docs/capacity.md")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.devices < 1:
        parser.error("--devices: at least one")
    habits = Habits(**{one.name: getattr(given, one.name) for one in fields(Habits)})
    try:
        measured = Constants.read()
    except (ConstantsMissing, OSError) as error:
        print(f"benchmarks.capacity: {error}", file=sys.stderr)
        return 1
    if given.table:
        print(table(measured, habits))
        return 0
    found = report(given.devices, habits, measured)
    print(json.dumps(found) if given.json else _text(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
