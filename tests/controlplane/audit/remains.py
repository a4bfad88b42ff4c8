"""What a death leaves of the log: each look goes on where the last one ended, and one at the end sees all of it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.audit.checking import PAGE, check
from controlplane.storage import Store
from controlplane.transparency.checkpoints import Checkpoint
from controlplane.transparency.entries import commit
from controlplane.transparency.merkle import (
    EMPTY_ROOT,
    Peaks,
    ProofFailed,
    consistency_pieces,
    hashes_of,
    verify_consistency,
)
from controlplane.transparency.notes import Note

DATABASE = "ztfm.db"


@dataclass
class Survived:
    """What was left after all deaths.

    Attributes:
        kills: deaths.
        given: decisions that were given out.
        lost: of these, those that are not on record with an entry.
        entries: of the log.
        heads: that were left, each by another death.
        faults: of the log, in sentences.
        seconds: that all of it took.
    """

    kills: int = 0
    given: int = 0
    lost: list[str] = field(default_factory=list)
    entries: int = 0
    heads: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Remains:
    """Looks at one log after each death, at what is new in it.

    Args:
        folder: of its SQLite database.
        record: what each decision was recorded as.

    Attributes:
        found: up to now.
    """

    def __init__(self, folder: Path, record: bytes) -> None:
        self.found = Survived()
        self._path = folder / DATABASE
        self._record = record
        self._seen = Peaks()
        self._heads: dict[int, bytes] = {}
        self._head = (0, EMPTY_ROOT)
        self._row = 0

    async def look(self, store: Store, given: Sequence[str]) -> None:
        """Look at what was added since the last look.

        Args:
            store: opened after the death.
            given: decisions that were given out before it.
        """
        self.found.kills += 1
        self.found.given += len(given)
        head = await _head(store)
        logged = await self._read_on(store, head)
        recorded = self._recorded()
        self.found.lost += sorted(set(given) - (recorded & logged))
        if recorded != logged:
            self._fault(f"{sorted(recorded ^ logged)[:5]} are on record without an entry, or the other way round")
        if head is not None:
            await self._go_on_to(store, head)

    async def look_at_all(self, store: Store) -> None:
        """Look through the whole log, and whether it begins with each head that was left by a death."""
        found = await check(store.log, store.decisions, lambda _: None)
        self.found.faults += [fault.message for fault in found.faults]
        self.found.entries, self.found.heads = found.entries, len(self._heads)
        peaks = Peaks()
        while page := await store.log.leaves(peaks.size, 4096):
            for leaf in page:
                peaks.extend([leaf])
                if self._heads.get(peaks.size, peaks.root) != peaks.root:
                    self._fault(f"the head of {peaks.size} entries is not what was signed")
        if peaks.root != self._seen.root:
            self._fault("the log is another than the one that was read piece by piece")

    async def _read_on(self, store: Store, head: Checkpoint | None) -> set[str]:
        """Read the entries that are new, each as it was hashed and as its record is; return the decisions' names."""
        names: set[str] = set()
        if head is not None and head.size == self._seen.size and head.root != self._seen.root:
            self._fault(f"the {head.size} entries do not lead to the head that was signed")
        while page := await store.log.page(self._seen.size, PAGE):
            documents = await store.decisions.documents([one.entry.id for one in page])
            for one in page:
                if one.place != self._seen.size or one.entry.hashed() != one.hash:
                    self._fault(f"entry {self._seen.size} is gone, or is not what was hashed")
                document = documents.get(one.entry.id)
                if document != self._record or one.salt is None:
                    self._fault(f"the record of {one.entry.id} is not what was recorded")
                elif commit(one.salt, document).hex() != one.entry.commitment:
                    self._fault(f"the record of {one.entry.id} is not what its entry commits to")
                names.add(one.entry.id)
                self._seen.extend([one.entry.hashed()])
                if head is not None and head.size == self._seen.size and head.root != self._seen.root:
                    self._fault(f"the {head.size} entries do not lead to the head that was signed")
        return names

    def _recorded(self) -> set[str]:
        """Return the decisions that are new in their table."""
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT rowid, id FROM decisions WHERE rowid > ?", (self._row,)).fetchall()
        self._row = max((row for row, _ in rows), default=self._row)
        return {name for _, name in rows}

    async def _go_on_to(self, store: Store, head: Checkpoint) -> None:
        """Have the log's own tree prove that it only grew from the head that was left before to this one."""
        size, root = self._head
        if head.size > self._seen.size:
            self._fault(f"a head of {head.size} entries was signed, and there are {self._seen.size}: entries are gone")
            return
        try:
            parts = consistency_pieces(size, head.size)
            kept = await store.log.hashes([one for part in parts for one in part])
            verify_consistency(size, head.size, hashes_of(parts, kept), root, head.root)
        except (ValueError, LookupError, ProofFailed) as error:
            self._fault(f"from {size} to {head.size} entries: {error}")
        self._heads[head.size] = head.root
        self._head = (head.size, head.root)

    def _fault(self, message: str) -> None:
        self.found.faults.append(f"death {self.found.kills}: {message}")


async def _head(store: Store) -> Checkpoint | None:
    kept = await store.log.checkpoint()
    return None if kept is None else Checkpoint.parse(Note.parse(kept[2]).text)
