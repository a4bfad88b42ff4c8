"""``ztfm keys``: the signing keys of a store, whether or not a control plane serves it now."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from controlplane.capabilities.errors import CapabilityError
from controlplane.capabilities.keykeeping import KeyKeeper
from controlplane.capabilities.keyring import stand
from controlplane.capabilities.sealing import Sealer
from controlplane.cli.configured import load_settings
from controlplane.cli.stores import existing_store
from controlplane.contracts.keys import KeyStanding, KeyStandings, KeyWithdrawal
from controlplane.rotation import StoredNotices, build_keeper
from controlplane.settings import Settings
from controlplane.storage import Store
from controlplane.storage.errors import StoreError

Result = TypeVar("Result")

app = typer.Typer(
    help="Signing keys: which one signs, the next one, and away with a bad one.\n\nExample: `ztfm keys list`",
    no_args_is_help=True,
)

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_keys(state_dir: StateDir = None, json_output: Json = False) -> None:
    """Say where every signing key stands.

    Example: `ztfm keys list --json`
    """
    _show(_run(load_settings(state_dir=state_dir), "list", _standings), json_output)


@app.command("rotate")
def rotate(state_dir: StateDir = None, json_output: Json = False) -> None:
    """Publish the next signing key; it signs after `ZTFM_KEY_OVERLAP_SECONDS`, when everybody has it.

    While one is published that does not sign yet, it stays the next one.

    Example: `ztfm keys rotate`
    """
    _show(_run(load_settings(state_dir=state_dir), "rotate", _rotate), json_output)


# A key's name may begin with a hyphen.
@app.command("withdraw", context_settings={"ignore_unknown_options": True})
def withdraw(
    kid: Annotated[str | None, typer.Argument(help="The key, as `ztfm keys list` names it.")] = None,
    reason: Annotated[str, typer.Option(help="Why; it is logged and pushed to enforcement points.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every key in use; needs no key that opens.")] = False,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Take a compromised key out of the key set at once. Whatever it signed holds no more; a fresh key signs.

    Example: `ztfm keys withdraw 9nRmZ1yH3-QGg7ZkC2mPj0vV4sUqT8xWbLdEoYhKcIA --reason "laptop stolen"`
    """
    try:
        why = KeyWithdrawal(reason=reason).reason
    except ValidationError:
        _fail("withdraw", "say why with --reason: up to 256 printable ASCII characters", 2)
    if (kid is None) != everything:
        _fail("withdraw", "name one key, or say --all", 2)
    settings = load_settings(state_dir=state_dir)
    withdrawn = _run(settings, "withdraw", lambda chosen, store: _withdraw(chosen, store, kid, why))
    if not withdrawn and kid is not None:
        _fail("withdraw", f"there is no key {kid}; see `ztfm keys list`", 1)
    _show(withdrawn, json_output)


def _run(settings: Settings, command: str, work: Callable[[Settings, Store], Awaitable[Result]]) -> Result:
    try:
        return asyncio.run(_with_store(settings, work))
    except (StoreError, CapabilityError, OSError) as error:
        _fail(command, str(error), 1)


async def _with_store(settings: Settings, work: Callable[[Settings, Store], Awaitable[Result]]) -> Result:
    async with existing_store(settings) as store:
        return await work(settings, store)


async def _standings(_settings: Settings, store: Store) -> list[KeyStanding]:
    return stand(await store.signing_keys.all(), time.time())


async def _rotate(settings: Settings, store: Store) -> list[KeyStanding]:
    return [await _keeper(settings, store).rotate()]


async def _withdraw(settings: Settings, store: Store, kid: str | None, reason: str) -> list[KeyStanding]:
    keeper = _keeper(settings, store)
    if kid is None:
        return await keeper.withdraw_all(reason)
    found = await keeper.withdraw(kid, reason)
    return [found] if found else []


def _keeper(settings: Settings, store: Store) -> KeyKeeper:
    sealer = Sealer.load_or_create(settings.resolved_sealing_key_file)
    return build_keeper(settings, store, sealer, time.time, StoredNotices(time.time))


def _fail(command: str, message: str, status: int) -> NoReturn:
    typer.echo(f"ztfm keys {command}: {message}", err=True)
    raise typer.Exit(status) from None


def _show(standings: Sequence[KeyStanding], json_output: bool) -> None:
    if json_output:
        typer.echo(KeyStandings(keys=list(standings)).model_dump_json(exclude_none=True))
        return
    table = Table("state", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("kid", no_wrap=True)  # whole, to be copied
    table.add_column("signs from, UTC")
    table.add_column("until, UTC")
    for item in standings:
        ended = item.withdrawn_at if item.withdrawn_at is not None else item.retired_at
        table.add_row(item.state, item.kid, _moment(item.signs_from), "" if ended is None else _moment(ended))
    Console().print(table)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
