"""What updates have spent of a site's privacy budget: by simple composition, exact, and never less than was spent.

Epsilon is counted in billionths, rounded up, so that sums are exact. What an update would spend is reserved before
anybody is asked for leave to send it, and settled once that leave is handed out; a reservation that nobody settled, for
the process died, goes on counting. One update (its model, round and digest) counts once, however often it is sent.

Sums are an upper bound of what is spent together where each update is a mechanism of its own with the epsilon that it
states (Dwork and Roth, "The Algorithmic Foundations of Differential Privacy", theorem 3.16). Nothing here verifies that
the noise was really added.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.site.chain import Mark
from adapters.site.errors import SiteFault
from controlplane.contracts.site import UpdateFact

if TYPE_CHECKING:
    import sqlite3

LEDGER = "ledger.sqlite3"
BILLION = 1_000_000_000
KEPT_DESCRIPTIONS = 1000

LET_IN_SECONDS = 86_400.0
"""For so long weights that were let in may be used."""

_WAIT_SECONDS = 5.0
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS spending (
        model TEXT NOT NULL, round_id TEXT NOT NULL, digest TEXT NOT NULL, month TEXT NOT NULL,
        billionths INTEGER NOT NULL CHECK (billionths >= 0), holders INTEGER NOT NULL, is_spent INTEGER NOT NULL,
        PRIMARY KEY (model, round_id, digest))""",
    """CREATE TABLE IF NOT EXISTS described (
        number INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE, document TEXT NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS let_in (digest TEXT PRIMARY KEY, time REAL NOT NULL)",
    """CREATE TABLE IF NOT EXISTS handed_in (
        subject TEXT PRIMARY KEY, sequence INTEGER NOT NULL, offset INTEGER NOT NULL, digest TEXT NOT NULL)""",
)


@dataclass(frozen=True, slots=True)
class Spent:
    """Sums in billionths of epsilon.

    Attributes:
        month: of the calendar month, UTC.
        total: ever.
    """

    month: int
    total: int


@dataclass(frozen=True, slots=True)
class Charge:
    """One update, as it is counted.

    Attributes:
        billionths: of epsilon; none where the update does not say.
    """

    model: str
    round_id: str
    digest: str
    billionths: int | None


def billionths(epsilon: float) -> int:
    """Return epsilon in billionths, rounded up from what the number says in decimals."""
    return int((Decimal(repr(epsilon)) * BILLION).to_integral_value(ROUND_CEILING))


def month_of(time: float) -> str:
    """Return the calendar month of a time (Unix seconds), UTC, such as ``2026-03``."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m")


class Ledger:
    """The ledger of one site, shared by all devices of it. Safe across threads and processes.

    Args:
        folder: the site's state.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEDGER

    @contextmanager
    def opened(self) -> Iterator["Entry"]:
        """Enter one transaction: nobody else of the site decides meanwhile. It is on disk when this is left.

        Raises:
            SiteFault: ``ledger_unavailable``: it cannot be used; nothing was changed.
        """
        try:
            # Only a device of a site needs it.
            import sqlite3
        except ImportError as error:
            raise SiteFault("ledger_unavailable", str(error)) from None
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise SiteFault("ledger_unavailable", str(error)) from None
        try:
            # Through a power cut, too.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement in _SCHEMA:
                    connection.execute(statement)
                yield Entry(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except (sqlite3.Error, OverflowError) as error:
            raise SiteFault("ledger_unavailable", str(error)) from None
        finally:
            connection.close()


class Entry:
    """What can be done within one transaction."""

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._connection = connection

    def spent(self, model: str, month: str) -> Spent:
        """Return what updates of a model have spent, reservations counted."""
        query = "SELECT COALESCE(SUM(CASE month WHEN ? THEN billionths ELSE 0 END), 0), COALESCE(SUM(billionths), 0)"
        row = self._connection.execute(f"{query} FROM spending WHERE model = ?", (month, model)).fetchone()
        return Spent(int(row[0]), int(row[1]))

    def more(self, charge: Charge) -> int:
        """Return what a charge adds to the sums: nothing where the same update counts for as much already."""
        return max(0, (charge.billionths or 0) - (self._kept(charge) or 0))

    def reserve(self, charge: Charge, month: str) -> None:
        """Count an update, and that somebody waits for leave to send it."""
        if charge.billionths is None:
            return
        name = (charge.model, charge.round_id, charge.digest)
        if self._kept(charge) is None:
            values = (*name, month, charge.billionths)
            self._connection.execute("INSERT INTO spending VALUES (?, ?, ?, ?, ?, 1, 0)", values)
            return
        change = "UPDATE spending SET holders = holders + 1, billionths = MAX(billionths, ?)"
        self._connection.execute(
            f"{change} WHERE model = ? AND round_id = ? AND digest = ?",
            (charge.billionths, *name),
        )

    def settle(self, charge: Charge, *, is_spent: bool) -> None:
        """End a reservation: it was spent, or nothing went out. What was spent before stays so."""
        if charge.billionths is None:
            return
        name = (charge.model, charge.round_id, charge.digest)
        is_this = "WHERE model = ? AND round_id = ? AND digest = ?"
        self._connection.execute(
            f"UPDATE spending SET holders = MAX(holders - 1, 0), is_spent = MAX(is_spent, ?) {is_this}",  # noqa: S608
            (int(is_spent), *name),
        )
        self._connection.execute(f"DELETE FROM spending {is_this} AND holders = 0 AND is_spent = 0", name)  # noqa: S608

    def describe(self, update: UpdateFact) -> None:
        """Keep what the site's code says of an update, beside what it said before; the newest thousand are kept."""
        said = {} if update.digest is None else self.described(update.digest).model_dump(exclude_none=True)
        update = UpdateFact(**{**said, **update.model_dump(exclude_none=True)})
        put = "INSERT OR REPLACE INTO described (digest, document) VALUES (?, ?)"
        self._connection.execute(put, (update.digest, update.model_dump_json()))
        old = "DELETE FROM described WHERE number <= (SELECT MAX(number) FROM described) - ?"
        self._connection.execute(old, (KEPT_DESCRIPTIONS,))

    def described(self, digest: str) -> UpdateFact:
        """Return what was said of an update; its digest alone where nothing was."""
        row = self._connection.execute("SELECT document FROM described WHERE digest = ?", (digest,)).fetchone()
        return UpdateFact(digest=digest) if row is None else UpdateFact.model_validate_json(row[0])

    def let_in(self, digest: str, time: float) -> None:
        """Note that weights were let in (Unix seconds); what is older than `LET_IN_SECONDS` is forgotten."""
        self._connection.execute("INSERT OR REPLACE INTO let_in VALUES (?, ?)", (digest, time))
        self._connection.execute("DELETE FROM let_in WHERE time < ?", (time - LET_IN_SECONDS,))

    def was_let_in(self, digest: str, now: float) -> bool:
        """Whether weights were let in, and not too long ago."""
        query = "SELECT 1 FROM let_in WHERE digest = ? AND time > ?"
        return self._connection.execute(query, (digest, now - LET_IN_SECONDS)).fetchone() is not None

    def handed_in(self, subject: str) -> Mark:
        """Return how far a device's decisions were handed in."""
        row = self._connection.execute(
            "SELECT sequence, offset, digest FROM handed_in WHERE subject = ?", (subject,)
        ).fetchone()
        return Mark() if row is None else Mark(int(row[0]), int(row[1]), str(row[2]))

    def hand_in(self, subject: str, mark: Mark) -> None:
        """Note that a device's decisions up to a mark are handed in."""
        values = (subject, mark.sequence, mark.offset, mark.digest)
        self._connection.execute("INSERT OR REPLACE INTO handed_in VALUES (?, ?, ?, ?)", values)

    def balances(self, month: str) -> dict[str, Spent]:
        """Return what was spent by model."""
        models = [row[0] for row in self._connection.execute("SELECT DISTINCT model FROM spending ORDER BY model")]
        return {model: self.spent(model, month) for model in models}

    def _kept(self, charge: Charge) -> int | None:
        query = "SELECT billionths FROM spending WHERE model = ? AND round_id = ? AND digest = ?"
        row = self._connection.execute(query, (charge.model, charge.round_id, charge.digest)).fetchone()
        return None if row is None else int(row[0])
