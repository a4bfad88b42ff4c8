"""The store of a control plane that is there already, for the commands that look at it or change it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import typer

from controlplane.cli.configured import load_settings
from controlplane.settings import Settings
from controlplane.storage import Store, open_store
from controlplane.storage.errors import StoreError

Result = TypeVar("Result")


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


def on_store(command: str, state_dir: Path | None, work: Callable[[Store], Awaitable[Result]]) -> Result:
    """Run work on the store that is there already; where that cannot be, say why and exit with 1.

    Args:
        command: as people type it, such as ``rounds list``.
        state_dir: the control plane's; none for that of the settings.
        work: what is done.
    """
    settings = load_settings(state_dir=state_dir)

    async def _opened() -> Result:
        async with existing_store(settings) as store:
            return await work(store)

    try:
        return asyncio.run(_opened())
    except (StoreError, OSError) as error:
        typer.echo(f"ztfm {command}: {error}", err=True)
        raise typer.Exit(1) from None
