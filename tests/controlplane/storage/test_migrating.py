import asyncio
import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from controlplane.storage import StoreUnavailable, migrating, open_store
from controlplane.storage.addresses import create_file, migration_engine, read_address
from controlplane.storage.migrating import _FOLDER, migrate
from controlplane.storage.tables import metadata
from tests.controlplane.storage.conftest import empty_database


@pytest.fixture(autouse=True)
def empty_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """New files are empty, as they are for users."""
    monkeypatch.setattr(migrating, "create_file", create_file)


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a schema, of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"
    return await empty_database(request.getfixturevalue("postgres"))


async def _with(url: str, look: Any) -> Any:
    engine = migration_engine(read_address(url))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(look)
    finally:
        await engine.dispose()


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_the_tables_that_the_code_uses(url: str) -> None:
    await migrate(read_address(url))
    assert await _with(url, _differences) == []


async def test_the_comparison_would_find_a_difference(url: str) -> None:
    await migrate(read_address(url))
    await _with(url, lambda connection: connection.execute(text("DROP INDEX ix_decisions_time")))
    assert await _with(url, _differences) != []


async def test_the_migrations_go_back_to_nothing(url: str) -> None:
    def _down(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(_FOLDER))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    await migrate(read_address(url))
    await _with(url, _down)
    left = await _with(url, lambda connection: inspect(connection).get_table_names())
    assert left == ["alembic_version"]
    await migrate(read_address(url))
    assert await _with(url, _differences) == []


def _open_in_a_process(url: str) -> str:
    async def run() -> None:
        store = await open_store(url)
        await store.ping()
        await store.close()

    try:
        asyncio.run(run())
    except Exception as fault:  # noqa: BLE001 - the test shows it, whatever it is
        return repr(fault)
    return "open"


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


async def test_processes_that_start_at_once_all_find_the_schema(url: str, processes: ProcessPoolExecutor) -> None:
    loop = asyncio.get_running_loop()
    results = await asyncio.gather(*(loop.run_in_executor(processes, _open_in_a_process, url) for _ in range(3)))
    assert results == ["open"] * 3
    assert await _with(url, _differences) == []


async def test_stores_that_open_at_once_in_one_process_all_find_the_schema(url: str) -> None:
    stores = await asyncio.gather(*(open_store(url) for _ in range(4)))
    await asyncio.gather(*(store.ping() for store in stores))
    await asyncio.gather(*(store.close() for store in stores))


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(url: str) -> None:
    await migrate(read_address(url))
    await _with(url, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(StoreUnavailable, match="9999"):
        await open_store(url)
    query = text("SELECT version_num FROM alembic_version")
    assert await _with(url, lambda connection: connection.execute(query).scalar()) == "9999"


async def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    # The last table of the first migration is in its way, so what came before it must be undone.
    await _with(url, lambda connection: connection.execute(text("CREATE TABLE decisions (other INTEGER)")))
    with pytest.raises(StoreUnavailable, match="already exists"):
        await open_store(url)
    left = await _with(url, lambda connection: inspect(connection).get_table_names())
    assert set(left) <= {"decisions", "alembic_version"}


def test_the_sqlite_file_and_its_side_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    async def run() -> list[tuple[str, int]]:
        store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'private' / 'ztfm.db'}")
        await store.capabilities.consume({"cap-1": 1.0})
        found = [(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "private").iterdir()]
        await store.close()
        return sorted(found)

    before = os.umask(0)
    try:
        assert asyncio.run(run()) == [("ztfm.db", 0o600), ("ztfm.db-shm", 0o600), ("ztfm.db-wal", 0o600)]
    finally:
        os.umask(before)


async def test_sqlite_keeps_a_write_ahead_log(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    await store.close()
    connection = sqlite3.connect(tmp_path / "ztfm.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("content", [b"no database" * 200, b"SQLite format 3\0" + b"\xff" * 4000])
async def test_a_file_that_is_no_database_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ztfm.db"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable):
        await open_store(f"sqlite+aiosqlite:///{path}")
    assert path.read_bytes() == content


async def test_a_folder_that_cannot_be_made_is_a_fault_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match=r"could not bring the database"):
        await open_store(f"sqlite+aiosqlite:///{tmp_path / 'file' / 'ztfm.db'}")
    with pytest.raises(StoreUnavailable):
        await open_store(f"sqlite+aiosqlite:///{tmp_path}")


async def test_a_percent_sign_in_the_path_is_only_a_character(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / '100%s.db'}")
    await store.close()
    assert (tmp_path / "100%s.db").exists()
