from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.contracts.rounds import Round
from controlplane.jose.keys import DeviceKey
from controlplane.storage import Store, open_store
from controlplane.storage.addresses import read_address
from controlplane.storage.migrating import migrate
from tests.servers.postgres import PostgresMissing, PostgresServer, running_server

NOW = 1_767_225_600.0

_SCHEMA = "ztfm_schema"
_EMPTY = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid();
    DROP SCHEMA public CASCADE;
    CREATE SCHEMA public
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    try:
        with running_server() as server:
            yield server
    except PostgresMissing as missing:
        pytest.skip(str(missing))


async def empty_database(server: PostgresServer) -> str:
    """Return the URL of the server's database, with nothing and nobody left in it."""
    await _executed(server, _EMPTY)
    return server.url("postgres")


async def new_database(server: PostgresServer) -> str:
    """Return the URL of a database with the schema in it and nothing else: migrating each time takes twice as long."""
    if _SCHEMA not in await _executed(server, "SELECT datname FROM pg_database"):
        await _executed(server, f"CREATE DATABASE {_SCHEMA}")
        await migrate(read_address(server.url(_SCHEMA)))
    await _executed(server, "DROP DATABASE IF EXISTS ztfm WITH (FORCE)")
    await _executed(server, f"CREATE DATABASE ztfm TEMPLATE {_SCHEMA}")
    return server.url("ztfm")


async def _executed(server: PostgresServer, said: str) -> list[Any]:
    connection = await asyncpg.connect(server.url("postgres").replace("+asyncpg", ""))
    try:
        if said.startswith("SELECT"):
            return [row[0] for row in await connection.fetch(said)]
        await connection.execute(said)
        return []
    finally:
        await connection.close()


@pytest.fixture
async def postgres_url(postgres: PostgresServer) -> str:
    return await new_database(postgres)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody used before, of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"
    return await new_database(request.getfixturevalue("postgres"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = await open_store(url)
    yield opened
    await opened.close()


@pytest.fixture
async def replica(url: str, store: Store) -> AsyncIterator[Store]:
    """A second store on the same database, as another process has."""
    opened = await open_store(url)
    yield opened
    await opened.close()


@pytest.fixture
def new_device() -> Callable[..., Device]:
    def make(**changes: Any) -> Device:
        key = DeviceKey.generate()
        known = {
            "id": f"dev-{key.thumbprint}",
            "key": key.public,
            "key_thumbprint": key.thumbprint,
            "roles": ["trainer"],
            "segment": "homes",
            "status": "active",
            "attestation": Attestation(),
            "trust": Trust(score=0.6, observations=0),
            "enrolled_at": NOW,
        }
        return Device(**{**known, **changes})

    return make


@pytest.fixture
def new_round() -> Callable[..., Round]:
    def make(**changes: Any) -> Round:
        known = {
            "id": "r1",
            "model": "smart-home-intents",
            "model_digest": f"sha256:{'a' * 64}",
            "members": ["dev-a", "dev-b"],
            "opened_by": "agg-1",
            "opens_at": NOW,
            "closes_at": NOW + 60,
            "state": "open",
        }
        return Round(**{**known, **changes})

    return make
