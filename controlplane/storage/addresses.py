"""Database URLs: which are known, and their engines."""

import os
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from controlplane.storage.errors import StoreAddressError

WAIT_SECONDS = 5.0
"""How long a call waits for a connection, or for another writer, before the store counts as unavailable."""

Synchronous = Literal["NORMAL", "FULL"]
"""How SQLite commits. Either survives the death of the process. A power cut may take back the last commits of
``NORMAL``, never half of one; ``FULL`` waits for the disk and loses none."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_POSTGRES_OPTIONS = frozenset({"host", "passfile", "prepared_statement_cache_size", "ssl"})
_READERS = 4
_POSTGRES_CONNECTIONS = 10


def read_address(url: str) -> URL:
    """Return the parsed URL with the driver that is used here.

    Raises:
        StoreAddressError: no URL, another kind of database, SQLite without a file, or an option that is not known.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        # What SQLAlchemy says would repeat a part of the URL, and that may be a part of the password.
        raise StoreAddressError(
            "the database URL cannot be read; use sqlite+aiosqlite:///PATH or "
            "postgresql+asyncpg://USER:PASSWORD@HOST/NAME, with what is special in the password written as %XX"
        ) from None
    kind = address.get_backend_name()
    if kind not in _DRIVERS or address.drivername not in (kind, _DRIVERS[kind]):
        raise StoreAddressError(f"{address.drivername} is not known here; use {' or '.join(_DRIVERS.values())}")
    if kind == "sqlite" and (address.database in (None, "", ":memory:") or address.query or address.host):
        raise StoreAddressError("SQLite needs a file and no options: sqlite+aiosqlite:///PATH")
    if address.port is not None and not 0 < address.port < 65_536:
        raise StoreAddressError("a port is a number from 1 to 65535")
    unknown = sorted(address.query.keys() - _POSTGRES_OPTIONS)
    if unknown:
        raise StoreAddressError(
            f"PostgreSQL's URL has no option {unknown[0]} here; known: {', '.join(sorted(_POSTGRES_OPTIONS))}"
        )
    return address.set(drivername=_DRIVERS[kind])


def shown(address: URL) -> str:
    """Return the URL as people may see it: no password, and no options, in which one could be."""
    return address.set(query={}).render_as_string(hide_password=True)


def migration_engine(address: URL) -> AsyncEngine:
    """Return an engine of one writing connection that is not kept."""
    if address.get_backend_name() == "sqlite":
        return _sqlite(address, "NORMAL", writes=True, poolclass=NullPool)
    return _postgres(address, poolclass=NullPool)


def engines(address: URL, synchronous: Synchronous = "NORMAL") -> tuple[AsyncEngine, AsyncEngine]:
    """Return the engine that writes and the engine that reads.

    SQLite has one writer at a time anyway: one connection that all writes of this process queue for is
    faster than several that poll for the lock. PostgreSQL shares one pool.
    """
    if address.get_backend_name() == "sqlite":
        writer = _sqlite(address, synchronous, writes=True, pool_size=1, max_overflow=0, pool_timeout=WAIT_SECONDS)
        reader = _sqlite(
            address,
            synchronous,
            writes=False,
            pool_size=_READERS,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
            pool_reset_on_return=None,
        )
        return writer, reader
    writer = _postgres(address, pool_size=_POSTGRES_CONNECTIONS, max_overflow=0, pool_timeout=WAIT_SECONDS)
    return writer, writer.execution_options(isolation_level="AUTOCOMMIT")


def bulk_engine(address: URL, synchronous: Synchronous) -> Engine:
    """Return a blocking engine of one writing SQLite connection, for use by one thread at a time."""
    blocking = address.set(drivername="sqlite+pysqlite")
    engine = create_engine(
        blocking, connect_args={"timeout": WAIT_SECONDS}, hide_parameters=True, pool_size=1, max_overflow=0
    )
    _prepare_sqlite(engine, synchronous, writes=True)
    return engine


def create_file(address: URL) -> None:
    """Create a SQLite file that only its owner can read; its side files take over its mode.

    Raises:
        OSError: the folder cannot be written.
    """
    path = Path(str(address.database))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _postgres(address: URL, **pool: Any) -> AsyncEngine:
    connect = {
        "timeout": WAIT_SECONDS,
        "command_timeout": 2 * WAIT_SECONDS,
        "server_settings": {"application_name": "ztfm"},
    }
    return create_async_engine(address, connect_args=connect, hide_parameters=True, **pool)


def _sqlite(address: URL, synchronous: Synchronous, *, writes: bool, **pool: Any) -> AsyncEngine:
    engine = create_async_engine(address, connect_args={"timeout": WAIT_SECONDS}, hide_parameters=True, **pool)
    _prepare_sqlite(engine.sync_engine, synchronous, writes=writes)
    return engine


def _prepare_sqlite(engine: Engine, synchronous: Synchronous, *, writes: bool) -> None:
    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # The driver must not open transactions by itself: it would begin them as readers and fail to upgrade.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(WAIT_SECONDS * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute("PRAGMA foreign_keys = ON")
        if not writes:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    if writes:

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
