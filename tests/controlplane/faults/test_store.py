"""A store that is locked, slow or killed: it is told, it can be looked into, and nothing is lost."""

import asyncio
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlplane.audit.checking import check
from controlplane.storage import addresses, open_store
from tests.controlplane.storage.conftest import new_database, postgres
from tests.controlplane.test_faults import ask, is_ready
from tests.servers.postgres import PostgresServer
from tests.support import ControlPlane, running, wait_until

__all__ = ["postgres"]


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock that writers need."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def is_sound(plane: ControlPlane) -> bool:
    """Whether every record and every entry of the log is as it was written."""
    return plane.run(check(plane.store.log, plane.store.decisions, lambda _: None)).faults == []


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """A control plane that waits half a second for its store, not five."""
    monkeypatch.setattr("controlplane.storage.addresses.WAIT_SECONDS", 0.5)
    with running() as found:
        yield found


def test_a_store_that_takes_nothing_is_red_until_it_does_although_it_can_be_read(hasty: ControlPlane) -> None:
    device = hasty.enrol("consumer")
    assert is_ready(hasty)
    with locked(hasty.state / "ztfm.db"):
        assert ask(device).kind == "unavailable"
        wait_until(lambda: not is_ready(hasty), what="a red /readyz")
        assert hasty.call("GET", "/readyz").json["checks"]["store"] == "cannot be used"
        wait_until(lambda: hasty.metric("ztfm_ready") == 0, what="a red gauge, which ZtfmNotReady looks at")
    wait_until(lambda: is_ready(hasty), what="a green /readyz without anybody asking for a decision")
    assert ask(device).status == 201
    assert is_sound(hasty)


async def test_a_database_that_another_process_holds_can_be_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "WAIT_SECONDS", 0.2)
    url = f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"
    await (await open_store(url)).close()
    with locked(tmp_path / "ztfm.db"):
        store = await open_store(url)
        assert await store.devices.page() == []
        await store.close()


def test_a_slow_store_is_waited_for_and_what_was_given_out_is_on_record(hasty: ControlPlane) -> None:
    device = hasty.enrol("consumer")
    stop = threading.Event()

    def _hold() -> None:
        while not stop.is_set():
            with locked(hasty.state / "ztfm.db"):
                time.sleep(0.1)
            time.sleep(0.02)

    holder = threading.Thread(target=_hold)
    holder.start()
    try:
        replies = [ask(device) for _ in range(10)]
    finally:
        stop.set()
        holder.join()
    assert {reply.status for reply in replies} <= {201, 503}
    given = [reply.json["decision_id"] for reply in replies if reply.status == 201]
    assert given
    for name in given:
        assert hasty.run(hasty.store.decisions.get(name)) is not None
    assert is_sound(hasty)


def test_a_database_server_that_is_killed_is_red_denies_and_comes_back_by_itself(postgres: PostgresServer) -> None:
    url = asyncio.run(new_database(postgres))
    with running(database_url=url) as plane:
        device = plane.enrol("consumer")
        given = ask(device).expect(201)["decision_id"]
        postgres.stop(signal.SIGQUIT)
        try:
            wait_until(lambda: ask(device).status == 503, what="a refusal")
            wait_until(lambda: not is_ready(plane), what="a red /readyz")
        finally:
            postgres.start()
        wait_until(lambda: is_ready(plane), what="a green /readyz")
        wait_until(lambda: ask(device).status == 201, what="capabilities again")
        assert plane.run(plane.store.decisions.get(given)) is not None
        assert is_sound(plane)
