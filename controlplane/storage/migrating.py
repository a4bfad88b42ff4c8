"""Bring a database to the schema of this version, however many processes start at once."""

import asyncio
from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from controlplane.storage.addresses import create_file, migration_engine, shown
from controlplane.storage.database import FAULTS, unavailable

_FOLDER = Path(__file__).parent / "migrations"

_POSTGRES_LOCK = 0x5A54464D
"""Key of the advisory lock that serialises the migrations of several processes: "ZTFM" in ASCII."""

_FAULTS: tuple[type[Exception], ...] = (*FAULTS, CommandError)
"""Of Alembic's own: the database is of a version that is newer than this one."""

# Alembic keeps its context in module globals: one migration at a time in this process.
_one_at_a_time = Lock()


async def migrate(address: URL) -> None:
    """Run the pending migrations in one transaction; a running event loop is not blocked.

    Raises:
        StoreUnavailable: the database cannot be reached or changed.
    """
    await asyncio.to_thread(_migrate, address)


def _migrate(address: URL) -> None:
    with _one_at_a_time:
        try:
            if address.get_backend_name() == "sqlite":
                create_file(address)
            asyncio.run(_upgrade(migration_engine(address)))
        except _FAULTS as fault:
            raise unavailable("bring the database to this version", shown(address), fault) from fault


async def _upgrade(engine: AsyncEngine) -> None:
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


def _run(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
