"""What a death could leave is found: at the next look, or at the last one."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from controlplane.audit import AuditLog
from controlplane.audit.heads import Heads
from controlplane.storage import Store, open_store
from controlplane.transparency.keys import new_signer
from tests.controlplane.audit.kills import Unseen
from tests.controlplane.audit.remains import DATABASE, Remains

NOW = 1_767_225_600.0
RECORD = b'{"facts":"x"}'


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / DATABASE}")
    yield opened
    await opened.close()


class Life:
    """Records decisions and signs a head, as what is killed does."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heads = Heads(store.log, new_signer("killed", "note"), [], 0, Unseen(), lambda: NOW)

    async def live(self, number: int, count: int = 40) -> list[str]:
        names = [f"dec-{number}-{one}" for one in range(count)]
        async with AuditLog(self._store.decisions) as log:
            for name in names:
                await log.record(name, NOW, "inference", "dev-1", "allow", RECORD)
        await self._heads.advance()
        return names


def by_hand(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


async def test_nothing_is_found_where_nothing_is_wrong(store: Store, tmp_path: Path) -> None:
    life, remains = Life(store), Remains(tmp_path, RECORD)
    for number in range(3):
        await remains.look(store, await life.live(number))
    await remains.look_at_all(store)
    assert (remains.found.lost, remains.found.faults) == ([], [])
    assert (remains.found.kills, remains.found.given, remains.found.entries, remains.found.heads) == (3, 120, 120, 3)


NEW = {
    "an entry is gone": "DELETE FROM log_entries WHERE place = 50",
    "the last entry is gone": "DELETE FROM log_entries WHERE place = 79",
    "an entry was changed": "UPDATE log_entries SET time_ms = 1 WHERE place = 50",
    "a record is gone": "DELETE FROM decisions WHERE id = 'dec-1-10'",
    "a record was changed": "UPDATE decisions SET document = x'00' WHERE id = 'dec-1-10'",
    "a decision has no entry": "INSERT INTO decisions SELECT 'dec-x', time, action, subject, outcome, document "
    "FROM decisions LIMIT 1",
    "an entry's hash was changed": "UPDATE log_entries SET hash = zeroblob(32) WHERE place = 50",
    "the tree was changed": "UPDATE log_tiles SET hash = zeroblob(32)",
}


@pytest.mark.parametrize("statement", NEW.values(), ids=NEW)
async def test_what_is_wrong_in_what_is_new_is_found_at_once(store: Store, tmp_path: Path, statement: str) -> None:
    life, remains = Life(store), Remains(tmp_path, RECORD)
    await remains.look(store, await life.live(0))
    given = await life.live(1)
    by_hand(tmp_path, statement)
    await remains.look(store, given)
    assert remains.found.lost or remains.found.faults


OLD = {
    "an entry was changed": "UPDATE log_entries SET time_ms = 1 WHERE place = 5",
    "a record was changed": "UPDATE decisions SET document = x'00' WHERE id = 'dec-0-5'",
    "a record is gone": "DELETE FROM decisions WHERE id = 'dec-0-5'",
}


@pytest.mark.parametrize("statement", OLD.values(), ids=OLD)
async def test_what_goes_wrong_later_is_found_at_the_end(store: Store, tmp_path: Path, statement: str) -> None:
    life, remains = Life(store), Remains(tmp_path, RECORD)
    await remains.look(store, await life.live(0))
    by_hand(tmp_path, statement)
    await remains.look(store, await life.live(1))
    await remains.look_at_all(store)
    assert remains.found.faults


async def test_a_decision_that_was_given_out_and_is_not_on_record_is_lost(store: Store, tmp_path: Path) -> None:
    life, remains = Life(store), Remains(tmp_path, RECORD)
    await remains.look(store, [*await life.live(0), "dec-0-never"])
    assert remains.found.lost == ["dec-0-never"]
