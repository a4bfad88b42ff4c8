"""Upgrades with data in the tables, there and back, and two releases on one store."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from controlplane.contracts.identity import Device
from controlplane.storage import migrating, open_store
from controlplane.storage.addresses import create_file, migration_engine, read_address
from controlplane.storage.errors import StoreTooNew
from controlplane.storage.migrating import migrate, schema_of
from controlplane.storage.versions import release_of, standing
from tests.controlplane.storage.conftest import empty_database, new_database
from tests.controlplane.storage.filled import columns_of, fill, rows_of, schema_in, taken_away

NEXT = "r2_9001"
AFTER_NEXT = "r3_9002"

# Migrations that take something away that the release before does not use any more: each with why nobody does.
CONTRACTS: dict[str, str] = {}


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with this version's schema, of each kind."""
    if request.param == "sqlite":
        await migrate(read_address(address := f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"))
        return address
    return await new_database(request.getfixturevalue("postgres"))


async def with_database(url: str, work: Callable[[Connection], Any]) -> Any:
    engine = migration_engine(read_address(url))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


@dataclass
class Walked:
    """What was seen on the way up through all revisions, each of them once back and up again.

    Attributes:
        revisions: how many there are.
        tables: that held rows, at the last one.
        lost: rows that were lost, by table and step.
        taken: what code that knows the revision before could not do any more, by revision.
    """

    revisions: int = 0
    tables: int = 0
    lost: dict[str, Any] = field(default_factory=dict)
    taken: dict[str, list[str]] = field(default_factory=dict)


def walk(connection: Connection) -> Walked:
    """Fill the tables at each revision, and go one up, back and up again."""
    config = migrating._config(connection)
    first, *later = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    command.upgrade(config, first)
    before, tables, found = first, schema_in(connection), Walked(revisions=1 + len(later))
    for revision in later:
        fill(connection, tables)
        columns = columns_of(tables)
        held = rows_of(connection, columns)
        assert all(held.values()), "each table has rows"
        command.upgrade(config, revision)
        new = schema_in(connection)
        found.taken[revision] = taken_away(tables, new)
        for step, go in ((revision, None), (before, command.downgrade), (revision, command.upgrade)):
            if go is not None:
                go(config, step)
            if step == revision:
                fill(connection, new)
            now = rows_of(connection, columns)
            gone = {name: held[name] - now[name] for name in held if not held[name] <= now[name]}
            found.lost |= {f"{name}, going to {step}": rows for name, rows in gone.items()}
        before, tables, found.tables = revision, new, len(held)
    return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def walked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """A database without a schema, of each kind, on its way."""
    if request.param == "sqlite":
        address = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('walked') / 'ztfm.db'}"
        create_file(read_address(address))
    else:
        address = asyncio.run(empty_database(request.getfixturevalue("postgres")))
    found: Walked = asyncio.run(with_database(address, walk))
    return found


def test_each_migration_keeps_what_the_schema_before_it_holds_there_and_back(walked: Walked) -> None:
    assert walked.revisions >= 15
    assert walked.tables >= 40
    assert walked.lost == {}


def test_a_migration_only_adds_so_that_the_release_before_goes_on_working(walked: Walked) -> None:
    assert {name: taken for name, taken in walked.taken.items() if taken and name not in CONTRACTS} == {}


async def test_what_takes_something_away_would_be_found(url: str) -> None:
    before = await with_database(url, schema_in)
    for said, wrong in (
        ("DROP TABLE holds", "table holds is gone"),
        ("ALTER TABLE rounds DROP COLUMN grouping", "rounds.grouping is gone"),
        ("ALTER TABLE rounds RENAME COLUMN model TO about", "rounds.about is new and needs a value"),
    ):
        await with_database(url, lambda connection, said=said: connection.execute(text(said)))
        assert any(wrong in one for one in taken_away(before, await with_database(url, schema_in))), said


def next_release(connection: Connection) -> None:
    """Do what a migration of the next release may: add a table, columns and an index."""
    for said in (
        "CREATE TABLE of_next_release (id VARCHAR(64) PRIMARY KEY)",
        "ALTER TABLE devices ADD COLUMN of_next_release VARCHAR(64)",
        "ALTER TABLE decisions ADD COLUMN of_next_release INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX ix_of_next_release ON devices (of_next_release)",
        f"UPDATE alembic_version SET version_num = '{NEXT}'",
    ):
        connection.execute(text(said))


async def test_this_release_serves_a_store_that_the_next_one_has_brought_up(
    url: str, new_device: Callable[..., Device]
) -> None:
    await with_database(url, next_release)
    store = await open_store(url)
    try:
        device = new_device()
        assert await store.enrol(None, device)
        assert (await store.devices.get(device.id)).id == device.id  # type: ignore[union-attr]
        await store.capabilities.consume({"cap-1": time.time() + 60})
        await store.ping()
    finally:
        await store.close()
    found = await schema_of(read_address(url))
    assert (found.found, found.stands) == (NEXT, "next"), "it was left as it is"


async def test_a_store_of_the_release_after_the_next_is_refused_with_what_to_do(url: str) -> None:
    said = text(f"UPDATE alembic_version SET version_num = '{AFTER_NEXT}'")
    await with_database(url, lambda connection: connection.execute(said))
    with pytest.raises(StoreTooNew, match=rf"(?s){AFTER_NEXT}.*ztfm store restore"):
        await open_store(url)
    assert (await schema_of(read_address(url))).found == AFTER_NEXT


@pytest.mark.parametrize(
    ("found", "stands"),
    [
        (None, "empty"),
        ("0002", "current"),
        ("0001", "older"),
        ("r2_0003", "next"),
        ("r3_0004", "unknown"),
        ("0003", "unknown"),
        ("r1_0003", "unknown"),
        ("r0_0003", "unknown"),
        ("r2_3", "unknown"),
        ("r2_0003x", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_store_is_served_by_its_own_release_and_the_one_before(found: str | None, stands: str) -> None:
    assert standing(found, "0002", {"0001", "0002"}) == stands


def test_every_migration_bears_its_release() -> None:
    def _names(_: object = None) -> list[str]:
        folder = Path(migrating.__file__).parent / "migrations" / "versions"
        return [one.name.rsplit("_", 1)[0] if one.name[0] == "r" else one.name[:4] for one in folder.glob("*.py")]

    assert all(release_of(name) for name in _names())


async def test_looking_changes_nothing(tmp_path: Path) -> None:
    address = f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"
    create_file(read_address(address))
    assert (await schema_of(read_address(address))).stands == "empty"
    assert await with_database(address, lambda connection: inspect(connection).get_table_names()) == []
