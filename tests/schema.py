"""What the migrations make of a new SQLite file is made once; each new file begins as a copy of it.

Hundreds of tests open a store, and migrating takes longer than most of them. Whether a file is at this version is still
asked by the real thing each time; `tests/controlplane/storage/test_migrating.py` never gets a copy.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL, make_url

from controlplane.storage import migrating
from controlplane.storage.addresses import create_file, migration_engine


def copies(folder: Path) -> Callable[[URL], None]:
    """Return what stands for `create_file`; the schema is kept in ``folder`` once somebody asked for it.

    It is called with a lock held, on a thread without a loop.
    """
    kept = folder / "schema.db"

    def create(address: URL) -> None:
        path = Path(str(address.database))
        if not (kept.exists() or path.exists()):
            _make(kept)
        if path.exists() or not _planted(kept, path):
            create_file(address)

    return create


def _make(kept: Path) -> None:
    address = make_url(f"sqlite+aiosqlite:///{kept.with_suffix('.new')}")
    create_file(address)
    asyncio.run(migrating._with_connection(migration_engine(address), migrating._upgrade))
    kept.with_suffix(".new").rename(kept)


def _planted(kept: Path, path: Path) -> bool:
    """Put a private copy there, whole at once; other processes may open the same file at the same time."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(kept.read_bytes())
    except OSError:
        return False
    try:
        os.link(copy, path)
    except OSError:
        return False
    finally:
        copy.unlink()
    return True
