"""``ztfm holds``: what alerts had held, on the store itself, while a control plane serves it or not."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from controlplane.cli.configured import load_settings
from controlplane.cli.local import local_user
from controlplane.cli.stores import existing_store
from controlplane.contracts.base import Why
from controlplane.contracts.holds import EVERYWHERE, Hold
from controlplane.settings import Settings
from controlplane.storage import Store
from controlplane.storage.errors import StoreError

Result = TypeVar("Result")

_WHY: TypeAdapter[str] = TypeAdapter(Why)

app = typer.Typer(
    help="Holds: actions that policy denies in a segment for a time, because an alert asked for it.\n\n"
    "Example: `ztfm holds list`",
    no_args_is_help=True,
)

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_holds(
    everything: Annotated[bool, typer.Option("--all", help="Those too that expired or were released.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="The latest so many.")] = 100,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List what is held, the latest first, with the alert and the decision behind it.

    Example: `ztfm holds list --all --json`
    """

    async def _look(store: Store) -> list[Hold]:
        return await store.holds.page(time.time(), limit, ended=everything)

    _show(_run("list", load_settings(state_dir=state_dir), _look), json_output)


@app.command("release")
def release(
    hold_id: Annotated[str, typer.Argument(metavar="ID", help="The hold, such as hold-5d41...")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the hold.")],
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """End a hold now. Running control planes follow within a second, and the same alert holds nothing again.

    Exits with 0 when it has ended, with 1 when there is none, with 2 without a reason that is one.

    Example: `ztfm holds release hold-5d41402abc4b2a76b9719d911017c592 --reason "A faulty batch, now fixed."`
    """
    try:
        why = _WHY.validate_python(reason, strict=True)
    except ValidationError:
        _fail("release", "--reason: a sentence of up to 512 characters, on one line", 2)

    async def _end(store: Store) -> Hold | None:
        now = time.time()
        await store.holds.release(hold_id, local_user(), why, now)
        return await store.holds.get(hold_id, now)

    found = _run("release", load_settings(state_dir=state_dir), _end)
    if found is None:
        _fail("release", f"there is no hold {hold_id}; see `ztfm holds list --all`")
    _show([found], json_output, one=True)


def _run(command: str, settings: Settings, work: Callable[[Store], Awaitable[Result]]) -> Result:
    async def opened() -> Result:
        async with existing_store(settings) as store:
            return await work(store)

    try:
        return asyncio.run(opened())
    except (StoreError, OSError) as error:
        _fail(command, str(error))


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm holds {command}: {message}", err=True)
    raise typer.Exit(status) from None


def _show(found: Sequence[Hold], json_output: bool, *, one: bool = False) -> None:
    if json_output:
        documents = [item.model_dump(mode="json", exclude_none=True) for item in found]
        typer.echo(json.dumps(documents[0] if one else {"holds": documents}))
        return
    for item in found:
        ends = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(item.released_at or item.ends_at))
        where = "everywhere" if item.segment == EVERYWHERE else f"in {item.segment}"
        typer.echo(f"{item.id}  {item.state:8}  until {ends}  {', '.join(item.actions)} {where}")
        typer.echo(f"    asked for by {item.alert} ({item.fingerprint}), decision {item.decision_id}")
        if item.released_by is not None:
            typer.echo(f"    released by {item.released_by}: {item.release_reason}")
    if not found:
        typer.echo("nothing is held; what was held before is listed with --all", err=True)
