"""``ztfm site``: for whoever owns a home or a factory, what the site itself decides. Needs no control plane.

What a site does is the adapters' business, which the control plane does not need; it is loaded by name when asked for.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol, TypeVar, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

SITE = "adapters.site.command"
REFUSED, FAULT = 1, 2

Result = TypeVar("Result")

app = typer.Typer(
    help="A site's own policy: what comes in and what goes out, decided on the site's own machine.\n\n"
    "Example: `ztfm site check keys/device-7`",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The device's folder, where its key is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Commands(Protocol):
    """What is asked of the adapters (`adapters.site.command`)."""

    REFUSALS: tuple[type[Exception], ...]
    FAULTS_OF_COMMANDS: tuple[type[Exception], ...]

    def make(self, member_folder: Path, bundle: Path, key: Path) -> dict[str, Any]:
        """Make a device part of a site."""
        ...

    def check(self, member_folder: Path) -> dict[str, Any]:
        """Return how a device's site stands."""
        ...

    def log(self, member_folder: Path, limit: int) -> list[dict[str, Any]]:
        """Return decisions of a device's site."""
        ...

    def hand_in(self, member_folder: Path) -> int:
        """Hand decisions of a device's site in."""
        ...

    def remedy_of(self, fault: Any) -> str:
        """Return what to do about a fault of the site."""
        ...


@app.command("init")
def init(
    folder: Folder,
    policy: Annotated[Path, typer.Option(help="The signed bundle that `ztfm policy build --layer site` wrote.")],
    key: Annotated[Path, typer.Option(help="Public PEM file of whoever signs for the site: `ztfm policy key --out`.")],
    json_output: AsJson = False,
) -> None:
    """Make a device part of a site: from now on its policy decides what comes in and what goes out.

    Exits with 0, with 1 when the policy cannot decide, with 2 when it could not be done; nothing is left behind then.

    Example: `ztfm site init keys/device-7 --policy site.tar.gz --key owner.pem`
    """
    made = _done("init", lambda commands: commands.make(folder, policy, key))
    if json_output:
        typer.echo(json.dumps(made))
        return
    typer.echo(f"{made['folder']}: the site decides by revision {made['revision']}, signed by the key {made['key_id']}")
    typer.echo("its owner keeps the policy where the device's own user cannot write: docs/site-veto.md")


@app.command("check")
def check(folder: Folder, json_output: AsJson = False) -> None:
    """Say whether a device's site can decide, and how it stands: policy, record, privacy budget.

    Exits with 0 when it can, with 1 when it cannot and everything is vetoed, with 2 when that could not be looked at.

    Example: `ztfm site check keys/device-7`
    """
    found = _done("check", lambda commands: commands.check(folder))
    if json_output:
        typer.echo(json.dumps(found))
        return
    limits = "" if found["sets_limits"] else ", and no limits"
    typer.echo(f"{found['folder']}: decides by revision {found['revision']}{limits}")
    typer.echo(f"  bundle   {found['digest']}, signed by the key {found['key_id']}")
    typer.echo(f"  record   {found['decisions']} decisions, whole; {found['to_hand_in']} to be handed in")
    for model, spent in found["epsilon"].items():
        typer.echo(f"  epsilon  {model}: {spent['month']:g} in {found['month']}, {spent['total']:g} ever")


@app.command("log")
def log(
    folder: Folder,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 20,
    json_output: AsJson = False,
) -> None:
    """Show what a device's site decided, oldest first; the JSON has the facts behind each, which stay at the site.

    Exits with 0, with 1 when the record cannot be read, with 2 when it could not be looked at.

    Example: `ztfm site log keys/device-7 --limit 5 --json`
    """
    found = _done("log", lambda commands: commands.log(folder, limit))
    if json_output:
        typer.echo(json.dumps({"decisions": found}))
        return
    table = Table("time", "what", "model", "round", "outcome", "reasons", title=f"{len(found)} decisions")
    for one in found:
        colour = "green" if one["outcome"] == "allow" else "red"
        told = (_time(one["time"]), one["action"], one["model"], one["round_id"])
        table.add_row(*map(escape, told), f"[{colour}]{one['outcome']}[/]", escape(", ".join(one["reasons"])))
    Console().print(table)


@app.command("hand-in")
def hand_in(folder: Folder, json_output: AsJson = False) -> None:
    """Hand in what a device's site decided while the control plane could not be reached, in order.

    Devices do so by themselves whenever they speak to the control plane. Exits with 0, with 1 when the record cannot be
    read, with 2 when it could not be done; what was not taken is kept.

    Example: `ztfm site hand-in keys/device-7`
    """
    done = _done("hand-in", lambda commands: commands.hand_in(folder))
    typer.echo(json.dumps({"handed_in": done}) if json_output else f"{done} decisions handed in")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _done(command: str, work: Callable[[Commands], Result]) -> Result:
    try:
        commands = cast("Commands", import_module(SITE))
    except ModuleNotFoundError as error:
        _fail(command, f"the package '{error.name}' is missing: pip install 'ztfm[embedded]'", FAULT)
    try:
        return work(commands)
    except commands.REFUSALS as fault:
        _fail(command, f"{fault} {commands.remedy_of(fault)}", REFUSED)
    except commands.FAULTS_OF_COMMANDS as error:
        _fail(command, str(error), FAULT)


def _fail(command: str, message: str, status: int) -> NoReturn:
    typer.echo(f"ztfm site {command}: {message}", err=True)
    raise typer.Exit(status) from None
