"""Copies of a SQLite store: taken while it is served, looked through, and put back in its place."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from controlplane.storage.errors import StoreError

_SIDE_FILES = ("-wal", "-shm")


class BackupFailed(StoreError):  # noqa: N818 - named for what happened
    """A backup was not taken, or not put back. The message says why; what was there before is there."""


def back_up(source: Path, target: Path) -> None:
    """Copy a store as it is at one moment, whoever reads and writes it meanwhile, into a new private file.

    By SQLite's online backup: all pages in one step, so that no writer makes it begin again.

    Raises:
        BackupFailed: there is no store, ``target`` is taken, or the copy is not sound.
    """
    if not source.is_file():
        raise BackupFailed(f"there is no store {source}: name the control plane's state folder with --state-dir")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with _private(draft, target):
        try:
            with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(draft)) as written:
                read.backup(written)
                written.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise BackupFailed(f"{source} cannot be copied: {error}") from None
        require_sound(draft)
        _to_disk(draft)
        try:
            # A link, unlike a rename, fails when the name is taken.
            os.link(draft, target)
        except FileExistsError:
            raise BackupFailed(f"{target} exists: name another file, no backup is written over") from None


def require_sound(path: Path) -> None:
    """Return when a file is a sound SQLite store.

    Raises:
        BackupFailed: it is not.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            found = [row[0] for row in opened.execute("PRAGMA integrity_check(3)")]
            opened.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise BackupFailed(f"{path} is no store: {error}") from None
    if found != ["ok"]:
        raise BackupFailed(f"{path} is damaged: {found[0]}")


@contextmanager
def copied(backup: Path, place: Path) -> Iterator[Path]:
    """Copy a backup beside a store's place, where it can be looked at and changed before `take_place`.

    Raises:
        BackupFailed: the backup is none, or it cannot be copied there.
        OSError: it cannot be read.
    """
    require_sound(backup)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    with _private(draft, place):
        shutil.copyfile(backup, draft)
        yield draft


def take_place(draft: Path, place: Path, aside: Path) -> bool:
    """Put what `copied` gave into the store's place; what was there is moved aside, whole.

    Returns:
        Whether there was a store.

    Raises:
        BackupFailed: somebody has the store open, or a file is in the way.
        OSError: a file cannot be moved.
    """
    if aside.exists():
        raise BackupFailed(f"{aside} exists: the store of before would go there. Move it away")
    require_unused(draft)
    _to_disk(draft)
    was_there = place.exists()
    require_unused(place)
    for side in ("", *_SIDE_FILES):
        if (one := Path(f"{place}{side}")).exists():
            one.rename(f"{aside}{side}")
    draft.rename(place)
    return was_there


def require_unused(place: Path) -> None:
    """Return when nobody has a store open, or there is none; its side files are brought into it.

    Raises:
        BackupFailed: somebody has it open.
    """
    if not place.exists():
        return
    try:
        with closing(sqlite3.connect(place, timeout=0.5)) as opened:
            # Only who has it alone may leave the write-ahead log.
            opened.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise BackupFailed(f"{place} is in use: stop the control plane and whatever else has it open") from None
    except sqlite3.DatabaseError:
        # It is damaged, which is why another one is put in its place.
        return


def set_apart_in(place: Path) -> list[tuple[str, str]] | None:
    """Return devices that are not active and their status; none where the store cannot be read."""
    query = "SELECT id, status FROM devices WHERE status <> 'active' ORDER BY id"
    try:
        with closing(sqlite3.connect(f"{place.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            return [(row[0], row[1]) for row in opened.execute(query)]
    except sqlite3.Error:
        return None


@contextmanager
def _private(draft: Path, target: Path) -> Iterator[None]:
    try:
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise BackupFailed(f"{target} cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        for side in ("", "-journal", *_SIDE_FILES):
            Path(f"{draft}{side}").unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
