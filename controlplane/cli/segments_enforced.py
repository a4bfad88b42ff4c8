"""``ztfm segments plan``, ``apply`` and ``verify``: the table in this router's kernel.

What touches the kernel is the routers' business, which the control plane does not need; it is loaded by name.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, NamedTuple, cast

import typer

ENFORCER = "adapters.segments.command"

Folder = Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Of the enrolled router, as which to ask.")]
TableFile = Annotated[Path | None, typer.Option("--file", help="Take the table of this file, and ask nobody.")]
Socket = Annotated[Path | None, typer.Option(help="Unix socket of the control plane.")]
Authority = Annotated[
    Path | None, typer.Option("--control-plane-authority", help="PEM file that verifies the control plane.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class _Asking(NamedTuple):
    """How the control plane is asked."""

    socket: Path | None
    authority: Path | None


def register(app: typer.Typer) -> None:
    """Add these commands to `ztfm segments`."""
    app.command("plan")(plan)
    app.command("apply")(apply)
    app.command("verify")(verify)


def plan(
    folder: Folder = None,
    file: TableFile = None,
    socket: Socket = None,
    authority: Authority = None,
    json_output: AsJson = False,
) -> None:
    """Show what the table would open, close and cut in this router's kernel; nothing is changed.

    Example: `ztfm segments plan keys/router`
    """
    _hand_over("plan", folder, file, _Asking(socket, authority), json_output)


def apply(
    folder: Folder = None,
    file: TableFile = None,
    socket: Socket = None,
    authority: Authority = None,
    json_output: AsJson = False,
) -> None:
    """Put the table in force in this router's kernel in one step, and read it back.

    Exits with 1 where it was not taken: what was in force is in force. To follow the table, run the agent:
    `python -m adapters.segments run`.

    Example: `ztfm segments apply keys/router`
    """
    _hand_over("apply", folder, file, _Asking(socket, authority), json_output)


def verify(
    folder: Folder = None,
    file: TableFile = None,
    socket: Socket = None,
    authority: Authority = None,
    json_output: AsJson = False,
) -> None:
    """Compare this router's kernel with the table.

    Exits with 0 when it lets through what the table grants and nothing else, with 1 when it does not.

    Example: `ztfm segments verify keys/router --json`
    """
    _hand_over("verify", folder, file, _Asking(socket, authority), json_output)


def _hand_over(command: str, folder: Path | None, file: Path | None, asking: _Asking, json_output: bool) -> None:
    if (folder is None) == (file is None):
        typer.echo(f"ztfm segments {command}: name the router's FOLDER, or a table with --file", err=True)
        raise typer.Exit(2)
    arguments = [command, *([str(folder)] if folder is not None else ["--table", str(file)])]
    arguments += [] if asking.socket is None else ["--socket", str(asking.socket)]
    arguments += [] if asking.authority is None else ["--control-plane-authority", str(asking.authority)]
    arguments += ["--json"] if json_output else []
    main = cast("Callable[[Sequence[str]], int]", import_module(ENFORCER).main)
    raise typer.Exit(main(arguments))
