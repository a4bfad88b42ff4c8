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
READERS = 4
"""Threads that read a SQLite file at once."""
_POSTGRES_CONNECTIONS = 10

IDLE_SECONDS = 3.0
"""How long a transaction may wait for its next statement. Whoever is cut off in the middle of one, the network gone and
nothing said, holds its locks for so long, and not until the server's TCP has given up, hours later."""


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
        engine = _sqlite(address, "NORMAL", writes=True, poolclass=NullPool)
        # A column is taken out of a table by making it anew: what refers to its rows must not go with the old one.
        event.listen(engine.sync_engine, "connect", _refer_to_what_is_not_there)
        return engine
    return _postgres(address, poolclass=NullPool)


def postgres_engine(address: URL) -> AsyncEngine:
    """Return an engine whose pool all of a process shares."""
    engine = _postgres(address, pool_size=_POSTGRES_CONNECTIONS, max_overflow=0, pool_timeout=WAIT_SECONDS)
    event.listen(engine.sync_engine, "connect", _end_when_cut_off)
    return engine


def sqlite_engines(address: URL, synchronous: Synchronous) -> tuple[Engine, Engine]:
    """Return the blocking engine of one writing connection, and that of as many reading ones as there are `READERS`."""
    blocking = address.set(drivername="sqlite+pysqlite")
    # One thread at a time has a connection, but not always the same one.
    connect = {"timeout": WAIT_SECONDS, "check_same_thread": False}
    pool: dict[str, Any] = {"max_overflow": 0, "pool_timeout": WAIT_SECONDS, "hide_parameters": True}
    writer = create_engine(blocking, connect_args=connect, pool_size=1, **pool)
    reader = create_engine(blocking, connect_args=connect, pool_size=READERS, pool_reset_on_return=None, **pool)
    _prepare_sqlite(writer, synchronous, writes=True)
    _prepare_sqlite(reader, synchronous, writes=False)
    return writer, reader


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


def _end_when_cut_off(connection: Any, _record: object) -> None:
    # Not among the settings that a connection begins with: poolers in between refuse those that they do not know.
    setting = f"SET idle_in_transaction_session_timeout = {int(IDLE_SECONDS * 1000)}"
    connection.run_async(lambda driver: driver.execute(setting))


def _refer_to_what_is_not_there(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()


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
