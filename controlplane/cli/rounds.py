"""``ztfm rounds``: which rounds there were and who contributed, and having what somebody contributed undone."""

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from controlplane.cli import rounds_archived, rounds_judged, rounds_listed
from controlplane.cli.local import local_user
from controlplane.cli.stores import on_store
from controlplane.contracts.rollback import Rollback, RollbackOrder
from controlplane.contracts.rounds import Round
from controlplane.decisions.rollbacks import RollbackBook
from controlplane.storage import Store
from controlplane.storage.rollbacks import Reached
from controlplane.storage.undoing import Ordered

Result = TypeVar("Result")

LOCAL_DECISION = "local"
"""Stands for the decision of an order that comes from this machine's command line: no policy is asked."""

app = typer.Typer(
    help="Rounds: who contributed to a model, and having what somebody contributed undone.\n\n"
    "Example: `ztfm rounds list --state open`",
    no_args_is_help=True,
)
rounds_listed.register(app)
rounds_judged.register(app)
rounds_archived.register(app)

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Model = Annotated[str | None, typer.Option(help="Of this model alone.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="The newest so many.")]


@app.command("contributions")
def contributions(
    round_id: Annotated[str | None, typer.Argument(metavar="ROUND", help="To this round.")] = None,
    subject: Annotated[str | None, typer.Option(help="Or of this subject.")] = None,
    model: Model = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List whose updates went into a round's model, or into which rounds' models a subject's went.

    Example: `ztfm rounds contributions --subject dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM`
    """
    if (round_id is None) == (subject is None):
        _fail("contributions", "name either a round or --subject", 2)

    async def _look(store: Store) -> Any:
        if subject is not None:
            return await store.contributions.of_subject(subject, model)
        return await store.contributions.of_round(str(round_id))

    found = _run("contributions", state_dir, _look)
    if json_output:
        typer.echo(json.dumps({"contributions": [one.model_dump(mode="json") for one in found]}))
        return
    table = _table("round", "subject", "admitted", "decision")
    for one in found:
        table.add_row(one.round_id, one.subject, _time(one.time), one.decision_id)
    Console().print(table)


@app.command("rollback")
def rollback(
    round_id: Annotated[str, typer.Argument(metavar="ROUND", help="The first round that is done again.")],
    without: Annotated[list[str], typer.Option(help="Whose updates are left out; may be given several times.")],
    reason: Annotated[str | None, typer.Option(help="Why; it is recorded.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would reach, and order nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Order that a model be rebuilt without what some subjects contributed in or after a round.

    The aggregator that opened the round carries it out after its next round, from the updates that it keeps. Exits
    with 0 when it is ordered, with 1 when it could not be, with 2 when it is no order that can be given.

    Example: `ztfm rounds rollback run-7f3a-12-train-12 --without dev-Qm2f --reason "It planted a backdoor."`
    """
    if reason is None and not dry_run:
        _fail("rollback", "say why with --reason, or look first with --dry-run", 2)
    if json_output and not yes and not dry_run:
        _fail("rollback", "--json asks nothing: say --yes or --dry-run as well", 2)
    asked = _asked(without, reason or "-")
    found, reached = _run("rollback", state_dir, lambda store: _preview(store, round_id, asked))
    if found is None:
        _fail("rollback", f"there is no round {round_id}; see `ztfm rounds list`")
    nobody = f"none of them contributed to {found.model} in {round_id} or later, of the rounds of {found.opened_by}"
    if not reached.left_out:
        _fail("rollback", nobody)
    if not json_output:
        _show_preview(found, reached)
    elif dry_run:
        typer.echo(json.dumps({"reaches": reached._asdict()}))
    if dry_run:
        return
    if not yes and not typer.confirm("Order it?"):
        raise typer.Exit(1)
    given = _run("rollback", state_dir, lambda store: _order(store, found, asked))
    if given is None:
        _fail("rollback", nobody)
    if given.rollback is None:
        _fail("rollback", "too many orders for the model wait for its aggregator")
    if json_output:
        ordered = given.rollback.model_dump(mode="json")
        typer.echo(json.dumps({"rollback": ordered, "is_new": given.is_new, "reaches": reached._asdict()}))
        return
    typer.echo(f"{'ordered' if given.is_new else 'outstanding already'}: {given.rollback.id}")


@app.command("rollbacks")
def rollbacks(
    model: Model = None,
    state: Annotated[Literal["ordered", "done", "failed"] | None, typer.Option(help="These alone.")] = None,
    limit: Limit = 50,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List orders to rebuild a model, newest first, and what became of them.

    Example: `ztfm rounds rollbacks --state ordered`
    """
    found = _run("rollbacks", state_dir, lambda store: store.rollbacks.page(model, state, limit))
    if json_output:
        typer.echo(json.dumps({"rollbacks": [one.model_dump(mode="json") for one in found]}))
        return
    for one in found:
        typer.echo(f"{one.id}  {one.state:7}  {one.model} from {one.round_id} on, without {', '.join(one.subjects)}")
        typer.echo(f"    ordered {_time(one.ordered_at)} by {one.ordered_by}: {one.reason}")
        if one.state != "ordered":
            typer.echo(f"    {_ending(one)}")
    if not found:
        typer.echo("no rollback was ordered", err=True)


async def _preview(store: Store, round_id: str, asked: RollbackOrder) -> tuple[Round | None, Reached]:
    return await store.rounds.get(round_id), await store.rollbacks.reached(asked.subjects, round_id)


async def _order(store: Store, found: Round, asked: RollbackOrder) -> Ordered | None:
    book = RollbackBook(store.rollbacks, None, time.time)
    return await book.request(found.id, found.model, asked.subjects, asked.reason, local_user(), LOCAL_DECISION)


def _asked(without: list[str], reason: str) -> RollbackOrder:
    try:
        return RollbackOrder(subjects=list(dict.fromkeys(without)), reason=reason)
    except ValidationError as error:
        for item in error.errors(include_input=False):
            named = {"subjects": "--without"}.get(str(item["loc"][0]), f"--{item['loc'][0]}")
            typer.echo(f"ztfm rounds rollback: {named}: {item['msg']}", err=True)
        raise typer.Exit(2) from None


def _show_preview(found: Round, reached: Reached) -> None:
    typer.echo(f"{found.model} is rebuilt from {reached.rounds[0]} on, by {found.opened_by}, after its next round:")
    typer.echo(f"  {len(reached.rounds)} rounds are done again, up to {reached.rounds[-1]}")
    typer.echo(f"  {reached.left_out} updates are left out, {reached.kept} are applied again")


def _ending(one: Rollback) -> str:
    what = f"{one.state} {_time(one.ended_at or 0.0)}: {one.rounds} rounds done again, {one.left_out} updates left out"
    return f"{what}; {one.fault}" if one.fault else what


def _run(command: str, state_dir: Path | None, work: Callable[[Store], Awaitable[Result]]) -> Result:
    return on_store(f"rounds {command}", state_dir, work)


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm rounds {command}: {message}", err=True)
    raise typer.Exit(status) from None


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(name, no_wrap=not place)  # the first whole, to be copied
    return table


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
