"""Bring a database to the schema of this version, however many processes start at once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from controlplane.storage.addresses import create_file, migration_engine, shown
from controlplane.storage.database import FAULTS, unavailable
from controlplane.storage.errors import StoreTooNew
from controlplane.storage.versions import Standing, standing

_FOLDER = Path(__file__).parent / "migrations"

_POSTGRES_LOCK = 0x5A54464D
"""Key of the advisory lock that serialises the migrations of several processes: "ZTFM" in ASCII."""

_FAULTS: tuple[type[Exception], ...] = (*FAULTS, CommandError)
"""Of Alembic's own: the migrations of this version cannot be run."""

# Alembic keeps its context in module globals: one migration at a time in this process.
_one_at_a_time = Lock()

_log = structlog.get_logger("ztfm.store")


class Schema(NamedTuple):
    """What schema a database has.

    Attributes:
        found: its latest migration; none where it has no schema.
        head: the latest migration of this version.
        stands: how the one is to the other.
    """

    found: str | None
    head: str
    stands: Standing


async def migrate(address: URL) -> None:
    """Run the pending migrations in one transaction; a running event loop is not blocked.

    A database of the release after this one is left as it is: its code and this one's work on it side by side.

    Raises:
        StoreTooNew: the database is of a later release than that.
        StoreUnavailable: the database cannot be reached or changed.
    """
    found = await asyncio.to_thread(_migrate, address)
    if found.stands == "next":
        _log.warning("store_of_next_release", found=found.found, head=found.head, remedy="finish the upgrade")


async def schema_of(address: URL) -> Schema:
    """Return what schema a database has, and change nothing.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    return await asyncio.to_thread(_locked, address, "read the version of the database", _look)


def _migrate(address: URL) -> Schema:
    if (known := _current(address)) is not None:
        return known
    found = _locked(address, "bring the database to this version", _upgrade, creates=True)
    if found.stands == "unknown":
        raise StoreTooNew(str(found.found), found.head, shown(address))
    return found


def _current(address: URL) -> Schema | None:
    """Return the schema of a SQLite file that has this version's, else none.

    It takes no lock: whoever looks into a database that another process holds is to see it, then of all times.
    """
    if address.get_backend_name() != "sqlite" or not Path(str(address.database)).is_file():
        return None
    engine = create_engine(address.set(drivername="sqlite+pysqlite"), poolclass=NullPool)
    try:
        with _one_at_a_time, engine.connect() as connection:
            found = _look(connection)
    except _FAULTS:
        return None
    return found if found.stands == "current" else None


def _locked(address: URL, what: str, work: Callable[[Connection], Schema], *, creates: bool = False) -> Schema:
    with _one_at_a_time:
        try:
            if creates and address.get_backend_name() == "sqlite":
                create_file(address)
            return asyncio.run(_with_connection(migration_engine(address), work))
        except _FAULTS as fault:
            raise unavailable(what, shown(address), fault) from fault


async def _with_connection(engine: AsyncEngine, work: Callable[[Connection], Schema]) -> Schema:
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _look(connection: Connection) -> Schema:
    script = ScriptDirectory.from_config(_config(connection))
    found = MigrationContext.configure(connection).get_current_revision()
    head = str(script.get_current_head())
    known = {one.revision for one in script.walk_revisions()}
    return Schema(found, head, standing(found, head, known))


def _upgrade(connection: Connection) -> Schema:
    found = _look(connection)
    if found.stands in {"empty", "older", "current"}:
        command.upgrade(_config(connection), "head")
    return found
