"""Stores with given records."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from controlplane.storage import open_store
from controlplane.storage.decisions import DecisionRow


def store_with(folder: Path, rows: Sequence[DecisionRow]) -> Path:
    """Return a state folder whose store holds ``rows``."""

    async def fill() -> None:
        store = await open_store(f"sqlite+aiosqlite:///{folder / 'ztfm.db'}")
        try:
            await store.decisions.add_many(rows)
        finally:
            await store.close()

    asyncio.run(fill())
    return folder
