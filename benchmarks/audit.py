"""The transparency log: how fast decisions are appended, and how long a proof takes once there are many.

``python -m benchmarks.audit --json``. Decisions are recorded in groups as the control plane does it, each with its
entry in the log, in a SQLite database of its own, and, to compare with, without entries. Then the log is filled up to
``--entries``, sealed and signed, and proofs of entries at random are made and verified. ``appends_per_second`` and
``proof_ms`` (the median of making one) are the bars: 1,000 a second, and 5 ms at 1,000,000 entries.
"""

import argparse
import asyncio
import json
import platform
import random
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from controlplane.audit import AuditLog
from controlplane.audit.heads import Heads
from controlplane.storage import Store, open_store
from controlplane.storage.decisions import DecisionRow
from controlplane.transparency.keys import new_signer
from controlplane.transparency.merkle import verify_consistency, verify_inclusion

RECORD = json.dumps({"facts": {"subject": "x" * 1500}, "outcome": "allow"}).encode()
"""About as long as the record of a pull."""

AT_ONCE = 64
"""Decisions that wait for their record at the same time, as with so many connections."""

FILLED_AT_ONCE = 20_000
PROOFS = 200


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        appends_per_second: decisions recorded with their entries, 64 at a time.
        plain_per_second: the same without entries, in the same run.
        bulk_per_second: entries alone, 20,000 in a transaction.
        entries: of the log when proofs were made.
        proof_ms: median of making an inclusion proof, milliseconds.
        proof_p99_ms: 99 % are made within this.
        verify_us: median of verifying one, microseconds.
        growth_ms: median of making a consistency proof.
        seal_seconds: bringing the tree up to all entries at once.
        head_ms: signing a head that is 64 entries on, milliseconds.
        bytes_per_entry: of the database, without the records.
    """

    appends_per_second: float
    plain_per_second: float
    bulk_per_second: float
    entries: int
    proof_ms: float
    proof_p99_ms: float
    verify_us: float
    growth_ms: float
    seal_seconds: float
    head_ms: float
    bytes_per_entry: float


class _Unseen:
    def head(self, size: int, time: float, witnesses: int, needed: int) -> None:
        """Show nothing."""

    def rewritten(self) -> None:
        """Show nothing."""

    def witness(self, name: str, result: str) -> None:
        """Show nothing."""


class _Plain:
    """Records decisions as before there was a log, to compare with."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add_many(self, records: list[DecisionRow]) -> None:
        """Keep records without entries."""
        insert = self._store.decisions._insert
        rows = list(records)
        await self._store._database.bulk("record", lambda connection: connection.exec_driver_sql(insert, rows))

    async def get(self, decision_id: str) -> bytes | None:
        """Return nothing."""
        return None


async def measure(folder: Path, entries: int, appends: int) -> Figures:
    """Measure on a new database in ``folder``."""
    store = await open_store(f"sqlite+aiosqlite:///{folder / 'log.db'}")
    try:
        plain = await _append(_Plain(store), appends, "plain")
        logged = await _append(store.decisions, appends, "dec")
        return await _proofs(folder, store, entries, logged, plain)
    finally:
        await store.close()


async def _append(store: Any, count: int, kind: str) -> float:
    async with AuditLog(store) as log:
        numbers = iter(range(count))

        async def _one() -> None:
            for number in numbers:
                await log.record(f"{kind}-{number:032x}", 1e9 + number, "inference", "dev-1", "allow", RECORD)

        begun = time.perf_counter()
        await asyncio.gather(*(_one() for _ in range(AT_ONCE)))
        return count / (time.perf_counter() - begun)


async def _proofs(folder: Path, store: Store, entries: int, logged: float, plain: float) -> Figures:
    before, size = (folder / "log.db").stat().st_size, await store.log.size()
    begun, filled = time.perf_counter(), entries - size
    for start in range(size, entries, FILLED_AT_ONCE):
        names = range(start, min(start + FILLED_AT_ONCE, entries))
        await store.log.append("event", [(f"ev-{number}", 1e9, b"") for number in names])
    bulk = filled / (time.perf_counter() - begun) if filled > 0 else 0.0
    begun = time.perf_counter()
    await store.log.seal()
    sealed = time.perf_counter() - begun
    weight = ((folder / "log.db").stat().st_size - before) / max(filled, 1)
    heads = Heads(store.log, new_signer("benchmark", "note"), [], 0, _Unseen(), time.time)
    found = await heads.advance()
    if found is None:
        raise RuntimeError("there is nothing to prove")
    head = found[0]
    made, checked, grown = [], [], []
    chance = random.Random(0)
    for _ in range(PROOFS):
        place = chance.randrange(head.size)
        begun = time.perf_counter()
        proof = await heads.include(place, head.size)
        made.append(time.perf_counter() - begun)
        (leaf,) = await store.log.leaves(place, 1)
        begun = time.perf_counter()
        verify_inclusion(leaf, place, head.size, proof, head.root)
        checked.append(time.perf_counter() - begun)
        earlier = chance.randrange(1, head.size)
        begun = time.perf_counter()
        await heads.grew(earlier, head.size)
        grown.append(time.perf_counter() - begun)
    signed = await _heads_on(store, heads)
    later = await heads.advance()
    if later is None:
        raise RuntimeError("there is nothing to prove")
    growth = await heads.grew(head.size, later[0].size)
    verify_consistency(head.size, later[0].size, growth, head.root, later[0].root)
    return Figures(
        appends_per_second=round(logged),
        plain_per_second=round(plain),
        bulk_per_second=round(bulk),
        entries=head.size,
        proof_ms=round(median(made) * 1e3, 2),
        proof_p99_ms=round(sorted(made)[int(PROOFS * 0.99) - 1] * 1e3, 2),
        verify_us=round(median(checked) * 1e6, 1),
        growth_ms=round(median(grown) * 1e3, 2),
        seal_seconds=round(sealed, 2),
        head_ms=round(signed * 1e3, 2),
        bytes_per_entry=round(weight),
    )


async def _heads_on(store: Store, heads: Heads) -> float:
    taken = []
    for number in range(20):
        await store.log.append("event", [(f"on-{number}-{one}", 1e9, b"") for one in range(AT_ONCE)])
        begun = time.perf_counter()
        await heads.advance()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the log when proofs are made")
    parser.add_argument("--appends", type=int, default=20_000, help="decisions that are recorded")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ztfm-bench-") as folder:
        found = asdict(asyncio.run(measure(Path(folder), options.entries, options.appends)))
    found["machine"] = {"system": platform.platform(), "python": platform.python_version()}
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
