"""A database that was put back from a backup does not fork its log: the head that was signed last is remembered."""

import shutil
import time
from pathlib import Path

import pytest

from controlplane.audit.heads import Heads, LogRewritten, Tree
from controlplane.audit.remembered import HEAD_FILE, RememberedTree, read_head
from controlplane.storage import Store, open_store
from controlplane.storage.backups import back_up
from controlplane.transparency.checkpoints import Checkpoint
from controlplane.transparency.keys import new_signer
from tests.controlplane.audit.test_remains import Unseen

LOG = new_signer("remembered.example/log", "note")


def heads_of(tree: Tree) -> Heads:
    return Heads(tree, LOG, [], 0, Unseen(), time.time)


def remembered(store: Store, folder: Path) -> RememberedTree:
    return RememberedTree(store.log, folder / HEAD_FILE, LOG.verifier)


async def opened(path: Path) -> Store:
    return await open_store(f"sqlite+aiosqlite:///{path}")


async def decide(store: Store, *names: str) -> None:
    await store.decisions.add_many([(name, 1.0, "inference", "dev-1", "allow", name.encode()) for name in names])


async def signed(heads: Heads) -> Checkpoint:
    latest = await heads.advance()
    assert latest is not None
    return latest[0]


async def put_back(folder: Path) -> Store:
    """Sign a head of three entries, back up, sign one of five, put the backup back, and decide otherwise."""
    path = folder / "ztfm.db"
    store = await opened(path)
    heads = heads_of(remembered(store, folder))
    await decide(store, "a", "b", "c")
    assert (await signed(heads)).size == 3
    back_up(path, folder / "backup.db")
    await decide(store, "d", "e")
    assert (await signed(heads)).size == 5
    await store.close()
    shutil.copyfile(folder / "backup.db", path)
    restored = await opened(path)
    await decide(restored, "f", "g", "h")
    return restored


async def test_an_older_database_is_found_although_its_own_heads_fit_it(tmp_path: Path) -> None:
    store = await put_back(tmp_path)
    for again in range(2):
        with pytest.raises(LogRewritten, match="put an older one back"):
            await heads_of(remembered(store, tmp_path)).advance()
        await decide(store, f"later-{again}")
    await store.close()


async def test_without_what_is_remembered_it_would_have_gone_on(tmp_path: Path) -> None:
    store = await put_back(tmp_path)
    assert (await signed(heads_of(store.log))).size == 6
    # Another replica that remembers nothing may have signed already: this one still finds it.
    with pytest.raises(LogRewritten):
        await heads_of(remembered(store, tmp_path)).advance()
    await store.close()


async def test_what_another_replica_signed_is_remembered_too(tmp_path: Path) -> None:
    store = await opened(tmp_path / "ztfm.db")
    heads = heads_of(remembered(store, tmp_path))
    for name in "abc":
        await decide(store, name)
        await signed(heads if name == "a" else heads_of(store.log))
        assert await heads.latest() is not None
    kept = read_head(tmp_path / HEAD_FILE, LOG.verifier)
    assert kept is not None
    assert kept[0].size == 3
    assert (tmp_path / HEAD_FILE).stat().st_mode & 0o777 == 0o600
    await store.close()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"remembered.example/log\n9\n\n"])
async def test_what_is_no_head_of_this_log_says_nothing_about_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / HEAD_FILE).write_bytes(content)
    store = await opened(tmp_path / "ztfm.db")
    await decide(store, "a")
    assert (await signed(heads_of(remembered(store, tmp_path)))).size == 1
    assert read_head(tmp_path / HEAD_FILE, new_signer("other", "note").verifier) is None
    assert read_head(tmp_path / HEAD_FILE, LOG.verifier) is not None
    await store.close()
