"""Backups of a store that is in use, what is refused, and PostgreSQL's own way."""

import asyncio
import os
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from controlplane.audit.checking import check
from controlplane.capabilities.sealing import Sealer
from controlplane.cli.store_reopened import reopened
from controlplane.contracts.identity import EnrolmentGrant
from controlplane.rotation import StoredNotices, build_keeper
from controlplane.settings import Settings
from controlplane.storage import Store, open_store
from controlplane.storage.backups import BackupFailed, back_up, copied, require_sound, take_place
from controlplane.storage.reopening import EVENTS_SKIPPED
from tests.controlplane.storage.conftest import new_database
from tests.servers.postgres import PostgresServer

GRANT = EnrolmentGrant(roles=["trainer"], segment="homes", expires_at=4e9, uses=0)


def names_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


async def decide(store: Store, *numbers: int) -> None:
    rows = [(f"dec-{number}", 1.0 + number, "inference", "dev-1", "allow", b"%d" % number) for number in numbers]
    await store.decisions.add_many(rows)


async def test_a_backup_of_a_store_that_is_written_to_is_of_one_moment(sqlite_url: str, tmp_path: Path) -> None:
    store = await open_store(sqlite_url)
    backup = tmp_path / "backup.db"
    written, enough = 0, asyncio.Event()

    async def _write() -> None:
        nonlocal written
        while not backup.exists() or written < 20:
            await decide(store, *range(written, written + 20))
            written += 20
            if written >= 100:
                enough.set()

    writing = asyncio.create_task(_write())
    await enough.wait()
    await asyncio.to_thread(back_up, tmp_path / "ztfm.db", backup)
    await writing
    await store.close()
    assert backup.stat().st_mode & 0o777 == 0o600
    assert [name for name in names_in(tmp_path) if "backup" in name] == ["backup.db"]
    copy = await open_store(f"sqlite+aiosqlite:///{backup}")
    found = await check(copy.log, copy.decisions, lambda _: None)
    await copy.close()
    assert found.faults == []
    assert 100 <= found.entries <= written
    assert found.entries % 20 == 0, "whole transactions"


def test_no_backup_is_written_over_and_none_is_taken_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="--state-dir"):
        back_up(tmp_path / "ztfm.db", tmp_path / "backup.db")
    (tmp_path / "ztfm.db").touch()
    with pytest.raises(BackupFailed, match="no store"):
        back_up(tmp_path / "ztfm.db", tmp_path / "backup.db")
    assert [one.name for one in tmp_path.iterdir()] == ["ztfm.db"]


async def test_a_damaged_backup_is_refused_and_a_store_in_use_is_not_replaced(sqlite_url: str, tmp_path: Path) -> None:
    store = await open_store(sqlite_url)
    await decide(store, 1)
    place, backup = tmp_path / "ztfm.db", tmp_path / "backup.db"
    back_up(place, backup)
    with pytest.raises(BackupFailed, match="exists"):
        back_up(place, backup)
    with copied(backup, place) as draft, pytest.raises(BackupFailed, match="in use"):
        take_place(draft, place, tmp_path / "aside.db")
    assert (await store.decisions.documents(["dec-1"])) == {"dec-1": b"1"}
    await store.close()
    body = bytearray(backup.read_bytes())
    body[4096 * 3 : 4096 * 6] = os.urandom(4096 * 3)
    backup.write_bytes(body)
    with pytest.raises(BackupFailed, match=r"damaged|no store"):
        require_sound(backup)
    assert names_in(tmp_path) == ["backup.db", "ztfm.db"]


async def test_a_postgresql_store_comes_back_by_its_own_tools_and_is_reopened(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    if not (postgres.binaries / "pg_dump").exists():
        pytest.skip("pg_dump is not installed")
    url = await new_database(postgres)
    settings = Settings(state_dir=tmp_path, database_url=url)
    sealer = Sealer.load_or_create(settings.resolved_sealing_key_file)
    store = await open_store(url)
    keeper = build_keeper(settings, store, sealer, time.time, StoredNotices(time.time))
    await keeper.open()
    await decide(store, *range(5))
    await store.tokens.add_many({"a" * 64: GRANT})
    with_password = {**os.environ, "PGPASSWORD": postgres.password}
    connection = ["-h", "127.0.0.1", "-p", str(postgres.port), "-U", postgres.user]

    def _run(tool: str, *words: str) -> None:
        command = [str(postgres.binaries / tool), *connection, *words]
        subprocess.run(command, env=with_password, check=True, capture_output=True, text=True, timeout=60)

    await asyncio.to_thread(_run, "pg_dump", "--format=custom", f"--file={tmp_path / 'store.dump'}", "ztfm")
    kept = [one.kid for one in await store.signing_keys.all()]
    # Since the backup: a token that was used, and an event that listeners were told of.
    assert await store.tokens.consume("a" * 64, 1.0)
    await keeper.withdraw_all("later")
    told = await store.reopening.newest_event()
    await store.close()
    words = ("--clean", "--if-exists", "--exit-on-error", "--dbname=ztfm", str(tmp_path / "store.dump"))
    await asyncio.to_thread(_run, "pg_restore", *words)

    found = await reopened(settings, "new")
    assert found.keys == kept
    assert found.forgotten["enrolment_tokens"] == 1
    store = await open_store(url)
    assert not await store.tokens.consume("a" * 64, 1.0)
    assert len(await store.events.after(told)) == 1
    assert await store.reopening.newest_event() > EVENTS_SKIPPED
    await build_keeper(settings, store, sealer, time.time, StoredNotices(time.time)).withdraw_all("once more")
    numbers = [row[0] for row in await store.events.after(told)]
    assert numbers == sorted(numbers)
    assert numbers[0] > EVENTS_SKIPPED, "those that follow go on from there"
    checked = await check(store.log, store.decisions, lambda _: None)
    assert checked.faults == []
    assert checked.entries == 7
    await store.close()


def test_a_file_that_is_something_else_is_no_backup(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE something (id)")
    other.close()
    with pytest.raises(BackupFailed, match="no store"):
        require_sound(tmp_path / "other.db")
