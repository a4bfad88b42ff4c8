"""``ztfm budgets``: how budgets of inference stand, on the store itself, while a control plane serves it or not."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from controlplane.cli.moments import moment
from controlplane.cli.stores import on_store
from controlplane.contracts.budgets import MAX_STANDINGS, BudgetScope, BudgetStanding
from controlplane.storage import Store

app = typer.Typer(
    help="Budgets of inference: what subjects, models and segments used, and what gateways hold.\n\n"
    "Example: `ztfm budgets list`",
    no_args_is_help=True,
)

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
At = Annotated[str | None, typer.Option(metavar="WHEN", help="A date, or an age such as 2h, within a week; now.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_budgets(
    scope: Annotated[BudgetScope | None, typer.Option(help="Those of subjects, models or segments alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_STANDINGS, help="The fullest so many.")] = 50,
    at: At = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List the budgets of the current hour and day, the fullest first.

    Example: `ztfm budgets list --scope model --json`
    """
    when = _when("list", at)

    async def _look(store: Store) -> list[BudgetStanding]:
        return await store.budgets.page(when, scope, limit=limit)

    found = on_store("budgets list", state_dir, _look)
    _show(found, json_output)
    if not found and not json_output:
        typer.echo("nothing was leased in this hour and day", err=True)


@app.command("show")
def show(
    scope: Annotated[BudgetScope, typer.Argument(help="Whose kind of budget.")],
    name: Annotated[str, typer.Argument(metavar="ID", help="A device, a model or a segment.")],
    at: At = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Show the budget of one device, model or segment in the current hour and day.

    Exits with 1 where nothing was leased from it.

    Example: `ztfm budgets show segment guests`
    """
    when = _when("show", at)

    async def _look(store: Store) -> list[BudgetStanding]:
        return await store.budgets.page(when, scope, name)

    found = on_store("budgets show", state_dir, _look)
    if not found:
        _fail("show", f"nothing was leased from the budget of the {scope} {name} in this hour and day")
    _show(found, json_output)


def _when(command: str, at: str | None) -> float:
    try:
        return time.time() if at is None else moment(at, time.time())
    except ValueError as error:
        _fail(command, f"--at: {error}", 2)


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm budgets {command}: {message}", err=True)
    raise typer.Exit(status) from None


def _show(found: Sequence[BudgetStanding], json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps({"budgets": [one.model_dump(mode="json") for one in found]}))
        return
    for one in found:
        ends = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(one.ends_at))
        typer.echo(f"{one.scope} {one.id}, this {one.span}, until {ends}")
        for unit in ("requests", "tokens"):
            used, leased, limit = (getattr(part, unit) for part in (one.used, one.leased, one.limit))
            typer.echo(f"    {unit:8}  {used} used, {leased} leased, of {limit} ({_share(used + leased, limit)})")


def _share(taken: int, limit: int) -> str:
    return f"{taken / limit:.0%}" if limit else "no budget"
