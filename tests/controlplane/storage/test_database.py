import asyncio
import random
import signal
import sqlite3
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.identity import Device, EnrolmentGrant
from controlplane.storage import Store, StoreUnavailable, addresses, open_store
from tests.controlplane.behaving import observed
from tests.servers.postgres import PostgresServer

NOW = 1_767_225_600.0
SECRET = "sesame-open-up"


async def _use_everything(store: Store, device: Device) -> list[str]:
    """Call every part and return the names of what they raised."""
    grant = EnrolmentGrant(roles=["trainer"], segment="homes", expires_at=NOW, uses=0)
    calls = [
        store.ping(),
        store.devices.get(device.id),
        store.devices.by_thumbprint(device.key_thumbprint),
        store.devices.add(device),
        store.devices.page(),
        store.tokens.add_many({"h1": grant}),
        store.tokens.get("h1"),
        store.behaviour.apply([observed(device.id)]),
        store.behaviour.kept([device.id]),
        store.observations.recent("updates", "homes"),
        store.rounds.get("r1"),
        store.rounds.submissions("r1", device.id),
        store.rounds.close("r1"),
        store.capabilities.consume({"cap-1": NOW}),
        store.decisions.get("dec-1"),
        store.decisions.add_many([("dec-1", NOW, "inference", "dev-a", "deny", b"{}")]),
        store.enrol("h1", device),
    ]
    return [type(result).__name__ for result in await asyncio.gather(*calls, return_exceptions=True)]


async def test_every_part_says_that_the_store_is_down_and_recovers_without_a_hand(
    postgres: PostgresServer, postgres_url: str, new_device: Callable[..., Device]
) -> None:
    store = await open_store(postgres_url)
    device = new_device()
    await store.ping()
    postgres.stop()
    try:
        assert set(await _use_everything(store, device)) == {"StoreUnavailable"}
        with pytest.raises(StoreUnavailable, match="bring the database"):
            await open_store(postgres_url)
    finally:
        postgres.start()
    await store.ping()
    assert await store.devices.page() == []
    assert await store.devices.add(device)
    await store.close()


async def test_a_server_that_dies_in_a_transaction_has_written_none_of_it(
    postgres: PostgresServer, postgres_url: str
) -> None:
    store = await open_store(postgres_url)
    await store.ping()

    async def die(connection: AsyncConnection) -> None:
        await connection.execute(text("INSERT INTO capability_uses (jti, expires_at, uses) VALUES ('cap-1', 1, 1)"))
        postgres.stop(signal.SIGQUIT)
        await connection.execute(text("INSERT INTO capability_uses (jti, expires_at, uses) VALUES ('cap-2', 1, 1)"))

    try:
        with pytest.raises(StoreUnavailable, match="write two rows"):
            await store._database.write("write two rows", die)
    finally:
        postgres.start()
    assert await _first_answer(store) == {"cap-1": 0, "cap-2": 0}
    await store.close()


async def _first_answer(store: Store) -> dict[str, int]:
    for _ in range(50):
        try:
            return await store.capabilities.consume({"cap-1": NOW, "cap-2": NOW})
        except StoreUnavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("the store does not recover")


async def test_sqlite_says_that_another_writer_holds_it_and_recovers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str
) -> None:
    monkeypatch.setattr(addresses, "WAIT_SECONDS", 0.2)
    store = await open_store(sqlite_url)
    other = sqlite3.connect(tmp_path / "ztfm.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="database is locked"):
        await store.capabilities.consume({"cap-1": NOW})
    with pytest.raises(StoreUnavailable, match="database is locked"):
        await store.ping()
    other.execute("ROLLBACK")
    other.close()
    await store.ping()
    assert await store.capabilities.consume({"cap-1": NOW}) == {"cap-1": 0}
    await store.close()


async def test_sqlite_readers_cannot_write(sqlite_url: str) -> None:
    store = await open_store(sqlite_url)
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store._database.read("sneak", text("DELETE FROM devices RETURNING id"))
    await store.close()


async def test_cancelled_callers_leave_no_lock_and_no_half_transaction(store: Store, replica: Store) -> None:
    dice = random.Random(7)
    counted: list[int] = []
    for _ in range(10):
        calls = [asyncio.create_task(side.capabilities.consume({"cap-1": 1e10})) for side in [store, replica] * 8]
        await asyncio.sleep(dice.random() * 0.01)
        for call in dice.sample(calls, 8):
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} <= {dict, asyncio.CancelledError}
        counted += [result["cap-1"] for result in results if isinstance(result, dict)]
    assert len(set(counted)) == len(counted)
    await asyncio.wait_for(store.capabilities.consume({"cap-2": 1e10}), 2.0)


async def test_closing_waits_for_what_is_under_way(url: str) -> None:
    store = await open_store(url)
    writing = asyncio.create_task(store.capabilities.consume({"cap-1": NOW}))
    await asyncio.sleep(0)
    assert store._database._under_way
    writing.cancel()
    purge = asyncio.create_task(store._database.bulk("count slowly", _slowly))
    await asyncio.sleep(0)
    await store.close()
    assert purge.done()
    assert await purge == "done"
    with pytest.raises(asyncio.CancelledError):
        await writing


def _slowly(connection: Connection) -> str:
    connection.execute(text("SELECT 1"))
    time.sleep(0.05)
    return "done"


async def test_no_error_shows_the_password_or_what_was_written(postgres: PostgresServer, postgres_url: str) -> None:
    wrong = postgres_url.replace(postgres.password, SECRET)
    store = await open_store(postgres_url)
    row = ("dec-1", NOW, "inference", "dev-a", "allow", SECRET.encode())
    await store.decisions.add_many([row])
    faults: list[BaseException] = []
    for call in (open_store(wrong), store.decisions.add_many([row]), store._database.change("err", text("nonsense"))):
        with pytest.raises(StoreUnavailable) as caught:
            await call
        faults.append(caught.value)
    await store.close()
    shown = "".join("".join(traceback.format_exception(fault)) for fault in faults)
    assert "password authentication failed" in shown
    for hidden in (SECRET, postgres.password, SECRET.encode().hex()):
        assert hidden not in shown
    assert all(":***@" in str(fault) for fault in faults)


async def test_a_host_that_is_none_and_a_server_that_is_none_are_faults_with_a_name() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for where in (f"127.0.0.1:{port}", "127.0.0.1:1", f"{'a' * 70}.invalid"):
        with pytest.raises(StoreUnavailable):
            await open_store(f"postgresql://u:{SECRET}@{where}/ztfm?ssl=disable")
    server.close()
    await server.wait_closed()


async def test_a_writer_that_does_not_end_is_a_store_that_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setattr(addresses, "WAIT_SECONDS", 0.1)
    store = await open_store(sqlite_url)

    held = asyncio.create_task(store._database.bulk("hold the writer", lambda _: time.sleep(0.4)))
    await asyncio.sleep(0.05)
    with pytest.raises(StoreUnavailable, match="TimeoutError"):
        await store.capabilities.consume({"cap-1": NOW})
    await held
    await store.close()


async def test_a_transaction_that_waits_for_others_is_a_mistake_and_writes_nothing(sqlite_url: str) -> None:
    store = await open_store(sqlite_url)

    async def wait(connection: AsyncConnection) -> None:
        await connection.execute(text("INSERT INTO capability_uses (jti, expires_at, uses) VALUES ('cap-1', 1, 1)"))
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waits for something else"):
        await store._database.write("wait", wait)
    assert await store.capabilities.consume({"cap-1": NOW}) == {"cap-1": 0}
    await store.close()


async def test_a_mistake_of_the_code_is_not_called_a_fault_of_the_store(store: Store) -> None:
    async def wrong(connection: AsyncConnection) -> None:
        await connection.execute(text("INSERT INTO capability_uses (jti, expires_at, uses) VALUES ('cap-1', 1, 1)"))
        raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        await store._database.write("do wrong", wrong)
    assert await store.capabilities.consume({"cap-1": NOW}) == {"cap-1": 0}
