"""``ztfm rounds list`` and ``show``: which rounds there were, and what came of the updates of each."""

import json
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from controlplane.cli.moments import moment
from controlplane.cli.rounds_judged import judgements
from controlplane.cli.stores import on_store
from controlplane.contracts.judged import RoundDetail
from controlplane.contracts.rounds import MAX_ROUNDS, RoundQuery, RoundStanding, RoundState

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Moment = Annotated[str | None, typer.Option(help="A date such as 2026-03-01T12:00Z, or an age such as 90m, 24h, 7d.")]


def register(group: typer.Typer) -> None:
    """Add these commands to the group ``ztfm rounds``."""
    group.command("list")(list_rounds)
    group.command("show")(show)


def list_rounds(
    model: Annotated[str | None, typer.Option(help="Of this model alone.")] = None,
    state: Annotated[RoundState | None, typer.Option(help="These alone.")] = None,
    since: Moment = None,
    until: Moment = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_ROUNDS, help="The newest so many.")] = 50,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List rounds, newest first, with how many updates went into the model of each and how many did not.

    Example: `ztfm rounds list --model smart-home-intents --state open`
    """
    query = _query(model, state, since, until)
    found = on_store("rounds list", state_dir, lambda store: store.rounds.standings(query, time.time(), limit))
    if json_output:
        typer.echo(json.dumps({"rounds": [_document(one) for one in found]}))
    else:
        _show_all(found)


def show(
    round_id: Annotated[str, typer.Argument(metavar="ROUND", help="The round.")],
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Show a round: whose updates went into its model, and whose did not.

    Example: `ztfm rounds show run-7f3a-12-train-12`
    """
    told = on_store("rounds show", state_dir, lambda store: judgements(store).detail(round_id, time.time()))
    if told is None:
        _fail("show", f"there is no round {round_id}; see `ztfm rounds list`")
    if json_output:
        accepted = [one.model_dump(mode="json", exclude={"round_id"}) for one in told.accepted]
        dropped = [one.model_dump() for one in told.dropped]
        document = {"round": _document(told.round), "accepted": accepted, "dropped": dropped}
        typer.echo(json.dumps(document))
    else:
        _show(told)


def _query(model: str | None, state: RoundState | None, since: str | None, until: str | None) -> RoundQuery:
    now = time.time()
    try:
        bounds = [None if text is None else moment(text, now) for text in (since, until)]
        return RoundQuery(model=model, state=state, since=bounds[0], until=bounds[1])
    except ValidationError as error:
        named = "; ".join(f"--{item['loc'][0]}: {item['msg']}" for item in error.errors(include_input=False))
        _fail("list", named, 2)
    except ValueError as error:
        _fail("list", str(error), 2)


def _document(one: RoundStanding) -> dict[str, Any]:
    # What was accepted was called so before there was a number of what was dropped.
    return {**one.model_dump(mode="json"), "updates": one.accepted}


def _show_all(found: list[RoundStanding]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(
        ("round", "model", "state", "opened", "members", "accepted", "dropped", "aggregation")
    ):
        table.add_column(name, no_wrap=not place)  # the first whole, to be copied
    for one in found:
        numbers = map(str, (one.members, one.accepted, one.dropped))
        table.add_row(one.id, one.model, one.state, _time(one.opens_at), *numbers, one.aggregation)
    Console().print(table)


def _show(told: RoundDetail) -> None:
    one = told.round
    ends = "closes" if one.state == "open" else "closed"
    typer.echo(f"{one.id} of {one.model} is {one.state}: opened {_time(one.opens_at)}, {ends} {_time(one.closes_at)}")
    typer.echo(f"opened by {one.opened_by} for {one.members} members with weights {one.model_digest}")
    typer.echo(f"{one.accepted} updates accepted, {one.dropped} dropped; brought together by {one.aggregation}")
    for given in told.accepted:
        typer.echo(f"  accepted  {given.subject}  {_time(given.time)}  {given.decision_id}")
    for left in told.dropped:
        typer.echo(f"  dropped   {left.subject}" + (f"  {left.updates} updates" if left.updates > 1 else ""))
    if told.dropped:
        typer.echo(f"why: ztfm rounds verdicts {one.id}")


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm rounds {command}: {message}", err=True)
    raise typer.Exit(status) from None


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
