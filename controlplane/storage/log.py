"""The transparency log: entries in the order in which they were committed, and the Merkle tree over them.

An entry is written in the transaction that writes what it stands for, so neither is there without the other. Of the
tree, the hash of each leaf is kept, and that of each complete subtree of 16, 256, 4,096, ... leaves, a tile: what a
proof needs besides is computed from these.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.base import is_identifier
from controlplane.storage.database import Database
from controlplane.storage.tables_log import decisions
from controlplane.storage.tables_log import log_checkpoints as checkpoints
from controlplane.storage.tables_log import log_entries as entries
from controlplane.storage.tables_log import log_tiles as tiles
from controlplane.transparency.entries import Entry, EntryKind, commit, encode, new_salt
from controlplane.transparency.merkle import Subtree, folded, leaf_hash

TILE_LEVELS = 4
"""Levels of the tree between two whose hashes are kept."""

TILE = 1 << TILE_LEVELS
MOST_READ = 4096
_SEALED_AT_ONCE = 512
_SPANS_AT_ONCE = 100

_SPAN = (
    "SELECT 0, place, hash FROM log_entries WHERE place >= {start} AND place < {stop}",
    "SELECT level, place, hash FROM log_tiles WHERE level = {level} AND place >= {start} AND place < {stop}",
)
"""Hashes side by side, of leaves or of tiles. All that is put in are whole numbers of ours."""

_TURN = text("SELECT pg_advisory_xact_lock(8419)")
_INSERT = "INSERT INTO log_entries (place, kind, id, time_ms, commitment, hash, salt, document) VALUES "
_PLACES = {"sqlite": "(?, ?, ?, ?, ?, ?, ?, ?)", "postgresql": "($1, $2, $3, $4, $5, $6, $7, $8)"}

Logged = tuple[str, float, bytes]
"""Id, time (Unix seconds) and record of what is logged."""


@dataclass(frozen=True)
class Kept:
    """An entry, and what it commits to as far as that is kept.

    Attributes:
        place: in the log, counted from 0.
        entry: it.
        hash: of its leaf.
        salt: none once the record was erased.
        document: the record, where no other table holds it.
    """

    place: int
    entry: Entry
    hash: bytes
    salt: bytes | None
    document: bytes | None


def append(connection: Connection, kind: EntryKind, logged: Sequence[Logged], *, keep: bool = True) -> int | None:
    """Append entries within a transaction that writes; it commits or they are not there.

    Args:
        connection: of the transaction.
        kind: what they stand for.
        logged: what is logged, in order.
        keep: the records; else only what stands for them, for another table holds them.

    Returns:
        The place of the first; none where nothing was logged. Until the transaction ends, nobody else appends.
    """
    if not logged:
        return None
    take_turn(connection)
    last = connection.execute(select(func.max(entries.c.place))).scalar()
    place = 0 if last is None else int(last) + 1
    rows = []
    for number, (name, time, record) in enumerate(logged, start=place):
        salt = new_salt()
        commitment, time_ms = commit(salt, record), int(time * 1000)
        hashed = leaf_hash(encode(kind, name, time_ms, commitment.hex()))
        rows.append((number, kind, name, time_ms, commitment, hashed, salt, record if keep else None))
    # Past SQLAlchemy's per-row conversions: this is on the path of every decision.
    connection.exec_driver_sql(_INSERT + _PLACES[connection.dialect.name], rows)
    return place


def take_turn(connection: Connection) -> None:
    """Wait until no other transaction appends, and keep others waiting until this one has ended."""
    if connection.dialect.name == "postgresql":
        # SQLite has one writer at a time anyway.
        connection.execute(_TURN)


async def log(connection: AsyncConnection, kind: EntryKind, logged: Sequence[Logged]) -> None:
    """Append entries with their records within a transaction that writes."""
    await connection.run_sync(append, kind, logged)


async def erase(connection: AsyncConnection, kind: EntryKind, names: Sequence[str]) -> None:
    """Forget what entries commit to, within a transaction. The entries stay, and the tree with them."""
    are_theirs = (entries.c.kind == kind) & entries.c.id.in_(names)
    await connection.execute(update(entries).where(are_theirs).values(salt=None, document=None))


class Log:
    """The tables of the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def size(self) -> int:
        """Return how many entries there are."""
        last = (await self._database.read("look how long the log is", select(func.max(entries.c.place))))[0][0]
        return 0 if last is None else int(last) + 1

    async def append(self, kind: EntryKind, logged: Sequence[Logged]) -> None:
        """Append entries of their own, with their records; they are committed when this returns."""
        await self._database.bulk("append to the log", lambda connection: append(connection, kind, list(logged)))

    async def find(self, name: str, kind: EntryKind = "decision") -> Kept | None:
        """Return the entry of what bears a name, or none; of several the latest."""
        if not is_identifier(name):
            return None
        query = select(entries).where((entries.c.id == name) & (entries.c.kind == kind))
        found = await self._kept(query.order_by(entries.c.place.desc()).limit(1))
        return found[0] if found else None

    async def page(self, start: int, count: int) -> list[Kept]:
        """Return up to ``count`` entries (at most 4096) from ``start`` on."""
        end = start + min(max(count, 0), MOST_READ)
        query = select(entries).where((entries.c.place >= start) & (entries.c.place < end))
        return await self._kept(query.order_by(entries.c.place))

    async def unlogged(self, limit: int) -> list[str]:
        """Return decisions that were recorded since the log began, and have no entry."""
        since = select(func.min(entries.c.time_ms)).scalar_subquery()
        has_entry = exists().where((entries.c.id == decisions.c.id) & (entries.c.kind == "decision"))
        query = select(decisions.c.id).where((decisions.c.time * 1000 > since) & ~has_entry)
        rows = await self._database.read("look for decisions without an entry", query.limit(limit))
        return [row.id for row in rows]

    async def leaves(self, start: int, count: int) -> list[bytes]:
        """Return up to ``count`` leaf hashes (at most 4096) from ``start`` on."""
        is_within = (entries.c.place >= start) & (entries.c.place < start + min(max(count, 0), MOST_READ))
        query = select(entries.c.hash).where(is_within).order_by(entries.c.place)
        return [bytes(row.hash) for row in await self._database.read("read leaves of the log", query)]

    async def hashes(self, wanted: Iterable[Subtree]) -> dict[Subtree, bytes]:
        """Return the hashes of complete subtrees of what is sealed.

        Raises:
            LookupError: one of them is not there: the log is shorter, not sealed that far, or damaged.
        """
        subtrees = list(dict.fromkeys(wanted))
        kept = await self._parts(subtrees)
        found = {}
        for one in subtrees:
            level, numbers = _parts_of(one)
            parts = [part for number in numbers if (part := kept.get((level, number))) is not None]
            if len(parts) != len(numbers):
                raise LookupError(f"the log lacks {len(numbers) - len(parts)} hashes from {one.start} to {one.end}")
            found[one] = folded(parts)
        return found

    async def seal(self) -> int:
        """Bring the tiles up to the entries that there are; return how many these are."""
        size = await self.size()
        level = TILE_LEVELS
        while (size >> level) > 0:
            while await self._seal_some(level, size):
                pass
            level += TILE_LEVELS
        return size

    async def keep_checkpoint(self, size: int, time: float, note: str, keep: int) -> None:
        """Keep a signed head, in the place of one of the same size; and of all the latest ``keep`` alone."""

        async def _keep(connection: AsyncConnection) -> None:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            statement = dialect.insert(checkpoints).values(size=size, time=time, note=note)
            changed = {"time": statement.excluded.time, "note": statement.excluded.note}
            await connection.execute(statement.on_conflict_do_update(index_elements=["size"], set_=changed))
            edge = select(checkpoints.c.size).order_by(checkpoints.c.size.desc()).limit(1).offset(keep)
            await connection.execute(delete(checkpoints).where(checkpoints.c.size <= edge.scalar_subquery()))

        await self._database.write("keep a checkpoint", _keep)

    async def checkpoint(self) -> tuple[int, float, str] | None:
        """Return size, time (Unix seconds) and note of the latest signed head, or none."""
        query = select(checkpoints).order_by(checkpoints.c.size.desc()).limit(1)
        rows = await self._database.read("look up the checkpoint", query)
        return (rows[0].size, rows[0].time, rows[0].note) if rows else None

    async def _seal_some(self, level: int, size: int) -> int:
        """Seal some tiles of a level; return how many."""
        last = (await self._database.read("look how far the log is sealed", _last(level)))[0][0]
        done = 0 if last is None else int(last) + 1
        until = min(size >> level, done + _SEALED_AT_ONCE)
        if until <= done:
            return 0
        below = level - TILE_LEVELS
        numbers = range(done << TILE_LEVELS, until << TILE_LEVELS)
        parts = await self._parts([Subtree(below, number) for number in numbers])
        rows = []
        for number in range(done, until):
            hashes = [parts[below, one] for one in range(number << TILE_LEVELS, (number + 1) << TILE_LEVELS)]
            rows.append({"level": level, "place": number, "hash": folded(hashes)})

        async def _write(connection: AsyncConnection) -> None:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            # Another replica may have sealed the same, to the same hashes.
            await connection.execute(dialect.insert(tiles).on_conflict_do_nothing(), rows)

        await self._database.write("seal the log", _write)
        return until - done

    async def _parts(self, subtrees: Sequence[Subtree]) -> dict[tuple[int, int], bytes]:
        """Return what is kept of the hashes that make up subtrees, by level and place."""
        spans: dict[int, list[list[int]]] = {}
        for level, numbers in sorted((_parts_of(one) for one in subtrees), key=lambda part: (part[0], part[1].start)):
            known = spans.setdefault(level, [])
            if known and numbers.start <= known[-1][1]:
                known[-1][1] = max(known[-1][1], numbers.stop)
            else:
                known.append([numbers.start, numbers.stop])
        selects = [
            _SPAN[level > 0].format(level=level, start=one[0], stop=one[1]) for level in spans for one in spans[level]
        ]
        found: dict[tuple[int, int], bytes] = {}
        for start in range(0, len(selects), _SPANS_AT_ONCE):
            query = text(" UNION ALL ".join(selects[start : start + _SPANS_AT_ONCE]))
            rows: Sequence[Any] = await self._database.read("read the tree of the log", query)
            found.update(((row[0], row[1]), bytes(row[2])) for row in rows)
        return found

    async def _kept(self, query: Select[Any]) -> list[Kept]:
        what = "read the log"
        rows = await self._database.read(what, query)
        with self._database.understanding(what):
            return [
                Kept(
                    place=row.place,
                    entry=Entry(commitment=bytes(row.commitment).hex(), id=row.id, kind=row.kind, time_ms=row.time_ms),
                    hash=bytes(row.hash),
                    salt=None if row.salt is None else bytes(row.salt),
                    document=None if row.document is None else bytes(row.document),
                )
                for row in rows
            ]


def _parts_of(one: Subtree) -> tuple[int, range]:
    """Return the level whose hashes are kept, and the places of those that make up this subtree."""
    level = one.level // TILE_LEVELS * TILE_LEVELS
    return level, range(one.start >> level, one.end >> level)


def _last(level: int) -> Select[Any]:
    return select(func.max(tiles.c.place)).where(tiles.c.level == level)
