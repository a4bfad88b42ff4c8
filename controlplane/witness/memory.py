"""What a witness remembers: of each log the last head that it signed, and the hashes of its entries."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

_SCHEMA = """
CREATE TABLE heads (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL);
CREATE TABLE leaves (origin TEXT, place INTEGER, hash BLOB NOT NULL, PRIMARY KEY (origin, place));
CREATE TABLE findings (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL,
    time INTEGER NOT NULL,
    place INTEGER,
    what TEXT NOT NULL
);
"""
MOST_FINDINGS = 1000


@dataclass(frozen=True)
class Head:
    """The last head that was signed.

    Attributes:
        size: entries.
        root: of the tree.
        note: as it came, with the cosignature.
    """

    size: int
    root: bytes
    note: str


@dataclass(frozen=True)
class Finding:
    """Something that must not be.

    Attributes:
        origin: of which log.
        time: Unix seconds.
        place: of the first entry that differs; none where that is not known.
        what: a sentence.
    """

    origin: str
    time: int
    place: int | None
    what: str


class Memory:
    """A file that survives a power cut. For one process; its threads take turns.

    What a witness has forgotten it cannot hold against a log: a lost file must not be replaced by an empty one under
    the same key. So the file is made once, by `create`, and opening one that is not there fails.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: it is not there.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is not there: a witness that has forgotten what it saw must not go on under the same key. "
                "Restore the file, or begin anew with a new key (`ztfm witness init`)"
            )
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._turn = RLock()
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")

    @staticmethod
    def create(path: Path) -> None:
        """Make an empty file, readable by its owner alone.

        Raises:
            FileExistsError: there is one.
        """
        path.touch(mode=0o600, exist_ok=False)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(_SCHEMA)

    def head(self, origin: str) -> Head | None:
        """Return the last head of a log that was signed, or none."""
        query = "SELECT size, root, note FROM heads WHERE origin = ?"
        with self._turn:
            found = self._connection.execute(query, (origin,)).fetchone()
        return None if found is None else Head(*found)

    def keep_head(self, origin: str, head: Head) -> None:
        """Remember a head, durably, before its cosignature is given out."""
        values = (origin, head.size, head.root, head.note)
        with self._turn:
            self._connection.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?)", values)

    def mirrored(self, origin: str) -> int:
        """Return of how many entries of a log the hashes are known."""
        query = "SELECT MAX(place) FROM leaves WHERE origin = ?"
        with self._turn:
            found = self._connection.execute(query, (origin,)).fetchone()[0]
        return 0 if found is None else int(found) + 1

    def leaves(self, origin: str, start: int, count: int) -> list[bytes]:
        """Return known hashes of entries from ``start`` on."""
        query = "SELECT hash FROM leaves WHERE origin = ? AND place >= ? AND place < ? ORDER BY place"
        with self._turn:
            return [row[0] for row in self._connection.execute(query, (origin, start, start + count))]

    def keep_leaves(self, origin: str, start: int, hashes: Sequence[bytes]) -> None:
        """Remember hashes of entries; what is known already stays."""
        rows = [(origin, place, one) for place, one in enumerate(hashes, start=start)]
        with self._turn:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT OR IGNORE INTO leaves VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")

    def find(self, finding: Finding) -> None:
        """Remember a finding, once."""
        with self._turn:
            last = self.findings()
            if last and (last[0].origin, last[0].place, last[0].what) == (finding.origin, finding.place, finding.what):
                return
            values = (finding.origin, finding.time, finding.place, finding.what)
            self._connection.execute("INSERT INTO findings (origin, time, place, what) VALUES (?, ?, ?, ?)", values)
            old = "DELETE FROM findings WHERE number <= (SELECT MAX(number) FROM findings) - ?"
            self._connection.execute(old, (MOST_FINDINGS,))

    def findings(self) -> list[Finding]:
        """Return findings, the latest first."""
        query = "SELECT origin, time, place, what FROM findings ORDER BY number DESC LIMIT 100"
        with self._turn:
            return [Finding(*row) for row in self._connection.execute(query)]

    def close(self) -> None:
        """Close the file, once nobody reads or writes it; whoever comes later gets `sqlite3.ProgrammingError`."""
        with self._turn:
            self._connection.close()
