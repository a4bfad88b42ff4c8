"""What replicas count together, each change one statement of its own, by the database's clock.

No transaction spans two statements: a replica that is cut off in the middle of one would leave its locks behind, and
everybody else waiting. And no replica's clock is asked: theirs differ, and the database has one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text

from controlplane.storage.database import Database
from controlplane.storage.tables_limits import shared_proofs, shared_rates, shared_usage

KEPT_SECONDS = 60.0
"""How long rows outlive what they count, should the database's clock step back."""

MOST_FORGOTTEN = 50_000
"""Rows that one statement deletes."""

_MOMENT = "(SELECT CAST(extract(epoch FROM statement_timestamp()) AS double precision) AS now) AS moment"

# In one order of rows for everybody: two replicas that change the same rows cannot wait for one another in a ring.
_PROOFS = f"""
    INSERT INTO shared_proofs (name, expires_at)
    SELECT given.key, CAST(given.value AS double precision)
    FROM json_each_text(CAST($1 AS json)) AS given, {_MOMENT}
    WHERE CAST(given.value AS double precision) > moment.now
    ORDER BY given.key
    ON CONFLICT (name) DO NOTHING
    RETURNING name
"""  # noqa: S608 - constants

_RATE, _BURST = (f"CAST(${place} AS double precision)" for place in (2, 3))
# When the statement began is known of a row that is there already by what it would have been without it.
_NOW = f"(excluded.full_at - excluded.granted / {_RATE})"
_OWED = f"(greatest(kept.full_at, {_NOW}) - {_NOW}) * {_RATE}"
# A double holds the time of day to some microtokens: what lacks a thousandth of a token is whole.
_GRANTED = f"least(excluded.granted, greatest(0.0, floor({_BURST} - {_OWED} + 0.001)))"


def _allowances(granted: str) -> str:
    return f"""
        INSERT INTO shared_rates AS kept (name, full_at, granted)
        SELECT given.key, moment.now + CAST(given.value AS double precision) / {_RATE},
            CAST(given.value AS double precision)
        FROM json_each_text(CAST($1 AS json)) AS given, {_MOMENT}
        ORDER BY given.key
        ON CONFLICT (name) DO UPDATE SET
            granted = {granted}, full_at = greatest(kept.full_at, {_NOW}) + {granted} / {_RATE}
        RETURNING name, granted,
            full_at - CAST(extract(epoch FROM statement_timestamp()) AS double precision) AS full_in
    """  # noqa: S608 - constants


_LEASE, _CHARGE = _allowances(_GRANTED), _allowances("excluded.granted")

_WINDOW = "CAST($2 AS bigint)"
_COUNT = f"""
    WITH moment AS (SELECT * FROM {_MOMENT}),
    counted AS (
        INSERT INTO shared_usage AS kept (starts_at, name, requests, tokens)
        SELECT CAST(floor(moment.now / {_WINDOW}) AS bigint) * {_WINDOW}, given.name, given.requests, given.tokens
        FROM json_to_recordset(CAST($1 AS json)) AS given(name text, requests bigint, tokens bigint), moment
        ORDER BY given.name
        ON CONFLICT (starts_at, name) DO UPDATE SET
            requests = kept.requests + excluded.requests, tokens = kept.tokens + excluded.tokens
        RETURNING starts_at, name, requests, tokens
    )
    SELECT counted.name, counted.starts_at, counted.requests, counted.tokens,
        coalesce(before.requests, 0) AS requests_before, coalesce(before.tokens, 0) AS tokens_before,
        moment.now - counted.starts_at AS elapsed
    FROM counted CROSS JOIN moment
    LEFT JOIN shared_usage AS before
        ON before.name = counted.name AND before.starts_at = counted.starts_at - {_WINDOW}
"""  # noqa: S608 - constants

_GIVE_BACK = """
    WITH given AS (
        SELECT * FROM json_to_recordset(CAST($1 AS json))
            AS given(starts_at bigint, name text, requests bigint, tokens bigint)
    ), locked AS (
        SELECT kept.starts_at, kept.name FROM shared_usage AS kept JOIN given USING (starts_at, name)
        ORDER BY kept.starts_at, kept.name FOR UPDATE OF kept
    )
    UPDATE shared_usage AS kept
    SET requests = greatest(0, kept.requests - given.requests), tokens = greatest(0, kept.tokens - given.tokens)
    FROM given JOIN locked USING (starts_at, name)
    WHERE kept.starts_at = given.starts_at AND kept.name = given.name
"""

_FORGET = (
    (shared_proofs.name, "name", "expires_at <= moment.now - :kept"),
    (shared_rates.name, "name", "full_at <= moment.now - :kept"),
    (shared_usage.name, "starts_at, name", "starts_at <= moment.now - 2 * :window - :kept"),
)


@dataclass(frozen=True, slots=True)
class Lease:
    """What a name was granted of its allowance.

    Attributes:
        granted: requests.
        full_in: seconds until its allowance is whole, this grant taken from it.
    """

    granted: int
    full_in: float


@dataclass(frozen=True, slots=True)
class Numbers:
    """A run of numbers that nobody else has: of a subject's requests in a window, and of its tokens.

    Attributes:
        starts_at: of the window, Unix seconds.
        elapsed: of the window when they were given, seconds.
        requests: that were counted before these.
        tokens: the same.
        requests_before: in the window before.
        tokens_before: the same.
    """

    starts_at: int
    elapsed: float
    requests: int
    tokens: int
    requests_before: int
    tokens_before: int


class Limits:
    """The tables of what replicas count together. PostgreSQL's; on SQLite nothing here can be asked.

    Args:
        database: where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._proofs, self._rates, self._usage = database.line(), database.line(), database.line()

    async def claim(self, proofs: Mapping[str, float]) -> set[str]:
        """Remember proofs, by name with their expiry (Unix seconds), and return those that were not seen before.

        One that has expired by the database's clock is not among them: it may have been forgotten.
        """
        given = json.dumps(dict(proofs), allow_nan=False)
        return {row["name"] for row in await self._proofs.fetch("remember proofs", _PROOFS, given)}

    async def lease(self, wanted: Mapping[str, int], rate: float, burst: float) -> dict[str, Lease]:
        """Take so many requests from each name's allowance, or as many whole ones as are left in it.

        Args:
            wanted: requests by name, each no more than ``burst``.
            rate: requests a second by which allowances fill.
            burst: of a whole one.
        """
        rows = await self._rates.fetch("lease allowances", _LEASE, json.dumps(dict(wanted)), rate, burst)
        return {row["name"]: Lease(int(row["granted"]), row["full_in"]) for row in rows}

    async def charge(self, costs: Mapping[str, int], rate: float) -> None:
        """Take so many requests from each name's allowance, also what is not in it; a negative number gives back."""
        await self._rates.fetch("charge allowances", _CHARGE, json.dumps(dict(costs)), rate)

    async def count(self, used: Mapping[str, tuple[int, int]], window_seconds: int) -> dict[str, Numbers]:
        """Count requests and tokens of each name in the window that is now, and return which numbers they are.

        Args:
            used: requests and tokens by name.
            window_seconds: length of windows, which all begin at its multiples.
        """
        given = [{"name": name, "requests": one, "tokens": more} for name, (one, more) in used.items()]
        rows = await self._usage.fetch("count use", _COUNT, json.dumps(given), window_seconds)
        return {row["name"]: _numbers(row, *used[row["name"]]) for row in rows}

    async def give_back(self, unused: Mapping[tuple[int, str], tuple[int, int]]) -> None:
        """Uncount requests and tokens, by window and name."""
        given = [
            {"starts_at": start, "name": name, "requests": one, "tokens": more}
            for (start, name), (one, more) in unused.items()
        ]
        await self._usage.fetch("give use back", _GIVE_BACK, json.dumps(given))

    async def purge(self, window_seconds: int) -> int:
        """Forget what has had its time, at most 50,000 rows of each table; return how many."""
        times = {"kept": KEPT_SECONDS, "window": float(window_seconds)}
        forgotten = 0
        for table, key, is_past in _FORGET:
            named = {name: value for name, value in times.items() if f":{name}" in is_past}
            statement = _forgetting(table, key, is_past).bindparams(**named)
            # One statement, and what only reads is given no transaction either.
            forgotten += len(await self._database.read("forget shared limits", statement))
        return forgotten


def _numbers(row: Mapping[str, Any], requests: int, tokens: int) -> Numbers:
    return Numbers(
        starts_at=row["starts_at"],
        elapsed=row["elapsed"],
        requests=row["requests"] - requests,
        tokens=row["tokens"] - tokens,
        requests_before=row["requests_before"],
        tokens_before=row["tokens_before"],
    )


def _forgetting(table: str, key: str, is_past: str) -> TextClause:
    for name in ("kept", "window"):
        is_past = is_past.replace(f":{name}", f"CAST(:{name} AS double precision)")
    # Another replica forgets at the same time: neither waits for the other.
    return text(
        f"""
        DELETE FROM {table} WHERE ({key}) IN (
            SELECT {key} FROM {table}, {_MOMENT} WHERE {is_past} LIMIT {MOST_FORGOTTEN}
            FOR UPDATE OF {table} SKIP LOCKED
        ) RETURNING 1
        """  # noqa: S608 - constants
    )
