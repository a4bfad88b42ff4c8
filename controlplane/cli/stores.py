"""The store of a control plane that is there already, for the commands that look at it or change it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controlplane.settings import Settings
from controlplane.storage import Store, open_store


@asynccontextmanager
async def existing_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the store that the settings name.

    Raises:
        FileNotFoundError: there is no such state folder; an empty store in a mistyped one would answer for it.
        StoreError: the store does not open.
    """
    folder = settings.state_dir
    if settings.database_url is None and not folder.is_dir():
        raise FileNotFoundError(
            f"there is no state folder {folder.resolve()}: name the control plane's with --state-dir or ZTFM_STATE_DIR"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = await open_store(settings.resolved_database_url)
    try:
        yield store
    finally:
        await store.close()
