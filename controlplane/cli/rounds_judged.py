"""``ztfm rounds verdicts``: what became of each update of a round, on which evidence, and why."""

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from controlplane.audit import AuditUnavailable
from controlplane.cli.stores import on_store
from controlplane.contracts.judged import MAX_JUDGED, JudgedUpdate
from controlplane.decisions.judged import Judgements
from controlplane.storage import Store

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_MOST_LAYERS = 4


def register(group: typer.Typer) -> None:
    """Add this command to the group ``ztfm rounds``."""
    group.command("verdicts")(verdicts)


def judgements(store: Store) -> Judgements:
    """Return what says what became of updates."""
    return Judgements(store.judged, store.rounds, store.contributions, store.decisions)


def verdicts(
    round_id: Annotated[str, typer.Argument(metavar="ROUND", help="The round.")],
    limit: Annotated[int, typer.Option(min=1, max=MAX_JUDGED, help="How many at most.")] = 100,
    after: Annotated[str, typer.Option(metavar="ID", help="Go on after this device.")] = "",
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List what became of each update of a round, in order of device: the evidence, the verdict, and why.

    Example: `ztfm rounds verdicts run-7f3a-12-train-12`
    """

    async def _look(store: Store) -> list[JudgedUpdate] | None:
        if await store.rounds.get(round_id) is None:
            return None
        return await judgements(store).of_round(round_id, after, limit)

    missing = f"there is no round {round_id}; see `ztfm rounds list`"
    show_updates("rounds verdicts", state_dir, _look, missing, json_output)


def show_updates(
    command: str,
    state_dir: Path | None,
    look: Callable[[Store], Awaitable[Sequence[JudgedUpdate] | None]],
    missing: str,
    json_output: bool,
) -> None:
    """Print what became of updates; say what there is not and exit with 1, where nothing is found."""
    try:
        found = on_store(command, state_dir, look)
    except AuditUnavailable as error:
        typer.echo(f"ztfm {command}: {error}", err=True)
        raise typer.Exit(1) from None
    if found is None:
        typer.echo(f"ztfm {command}: {missing}", err=True)
        raise typer.Exit(1)
    if json_output:
        told = [one.model_dump(mode="json", exclude_none=True) for one in found]
        typer.echo(json.dumps({"updates": told}))
        return
    console = Console(soft_wrap=True, highlight=False)
    for one in found:
        console.print(_line(one), markup=False)
        for line in _reasons(one):
            console.print(f"    {line}", markup=False)
    if not found:
        typer.echo("no update is on record", err=True)


def _line(one: JudgedUpdate) -> str:
    at = "" if one.time is None else time.strftime("%Y-%m-%d %H:%M:%S UTC  ", time.gmtime(one.time))
    became = "-" if one.outcome is None else {"allow": "accepted"}.get(one.outcome, "dropped")
    numbers = {"p": one.p_value, "evidence": one.e_value, "trust": one.trust}
    told = [f"{name} {value:.3g}" for name, value in numbers.items() if value is not None]
    stands = [] if one.state is None else [one.state]
    return f"{at}{one.round_id}  {one.subject}  {became}: " + ", ".join([*stands, *told])


def _reasons(one: JudgedUpdate) -> list[str]:
    lines = [f"{reason.code}: {reason.message}" for reason in one.reasons]
    if one.attribution is not None:
        lines.append(one.attribution.sentence)
        layers = [f"{layer.name} {layer.share:.0%}" for layer in one.attribution.layers[:_MOST_LAYERS]]
        lines += [f"layers: {', '.join(layers)}"] if layers else []
    return lines
