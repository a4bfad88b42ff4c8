"""``ztfm changes``: that something has changed, as it happens, on whichever replica."""

import asyncio
import json
import signal
import time
from contextlib import suppress
from typing import Annotated

import typer

from controlplane.cli.configured import load_settings
from controlplane.cli.sources import StateDir
from controlplane.cli.stores import existing_store
from controlplane.contracts.changes import CHANGES, Changed, ChangeKind
from controlplane.decisions.changes import ChangeFeed, Follower
from controlplane.settings import Settings
from controlplane.storage.errors import StoreError


class _Uncounted:
    def following(self, followers: int) -> None:
        """Nobody counts a command."""

    def changed(self, kind: ChangeKind) -> None:
        """Nor what it prints."""


def changes(
    kind: Annotated[list[str] | None, typer.Option(help=f"Of this kind alone: {', '.join(CHANGES)}.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so long; else with Ctrl-C.")] = None,
    state_dir: StateDir = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Say of which kind what changes is, within about a second: rounds, devices, decisions, policies, rollbacks.

    Example: `ztfm changes --kind devices --kind rounds`
    """
    wanted = set(kind or CHANGES)
    if wanted - set(CHANGES):
        typer.echo(f"ztfm changes: --kind is one of {', '.join(CHANGES)}", err=True)
        raise typer.Exit(2)
    try:
        asyncio.run(_follow(load_settings(state_dir=state_dir), wanted, seconds, json_output))
    except (StoreError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        typer.echo(f"ztfm changes: {error}", err=True)
        raise typer.Exit(1) from None


async def _follow(settings: Settings, wanted: set[str], seconds: float | None, json_output: bool) -> None:
    async with existing_store(settings) as store:
        feed = ChangeFeed(store.changes, store.sessions, lambda _caller, _since: False, time.time, _Uncounted())
        for number in (signal.SIGINT, signal.SIGTERM):
            # A loop that is not in the main thread hears of no signal.
            with suppress(NotImplementedError, RuntimeError, ValueError):
                asyncio.get_running_loop().add_signal_handler(number, feed.close)
        async with feed.running():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await _print_each(feed, wanted, json_output)


async def _print_each(feed: ChangeFeed, wanted: set[str], json_output: bool) -> None:
    async for kinds in feed.follow(Follower("this command", time.time())):
        now = time.time()
        for kind in kinds:
            if kind not in wanted:
                continue
            at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
            told = {"kind": kind, **Changed(at=now).model_dump()}
            typer.echo(json.dumps(told) if json_output else f"{at}  {kind}")
