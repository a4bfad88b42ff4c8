"""Statements that stand alone have a connection of their own, and a transaction that nobody goes on with has an end."""

import asyncio
import time

import pytest
from sqlalchemy import text

from controlplane.storage import StoreUnavailable, addresses, open_store
from controlplane.storage.addresses import postgres_engine, read_address

LOCK = text("SELECT pg_advisory_xact_lock(1)")


async def test_after_a_fault_the_next_statement_finds_a_new_connection(postgres_url: str) -> None:
    store = await open_store(postgres_url)
    line = store._database.line()
    [before] = await line.fetch("ask", "SELECT pg_backend_pid() AS pid")
    with pytest.raises(StoreUnavailable):
        await line.fetch("ask", "SELECT pg_terminate_backend($1)", before["pid"])
    [after] = await line.fetch("ask", "SELECT pg_backend_pid() AS pid")
    assert after["pid"] != before["pid"]
    await store.close()


async def test_what_one_statement_did_stands_when_the_next_one_fails(postgres_url: str) -> None:
    store = await open_store(postgres_url)
    line, other = store._database.line(), store._database.line()
    await line.fetch("count", "INSERT INTO shared_proofs VALUES ($1, 1)", "a")
    with pytest.raises(StoreUnavailable):
        await line.fetch("count", "INSERT INTO shared_proofs VALUES ($1, 1)", "a")
    assert len(await other.fetch("look", "SELECT name FROM shared_proofs")) == 1
    await store.close()


async def test_on_sqlite_there_is_no_such_way(sqlite_url: str) -> None:
    store = await open_store(sqlite_url)
    with pytest.raises(StoreUnavailable, match="only PostgreSQL"):
        await store._database.line().fetch("ask", "SELECT 1")
    await store.close()


async def test_whoever_is_cut_off_within_a_transaction_keeps_nobody_waiting_for_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "IDLE_SECONDS", 0.3)
    gone, here = (postgres_engine(read_address(postgres_url)) for _ in range(2))
    holding = await gone.connect()
    await holding.execute(LOCK)
    began = time.monotonic()
    async with asyncio.timeout(20.0), here.begin() as connection:
        await connection.execute(LOCK)
    assert time.monotonic() - began >= 0.2, "it was held, and then it was not"
    await holding.invalidate()
    await holding.close()
    for engine in (gone, here):
        await engine.dispose()
