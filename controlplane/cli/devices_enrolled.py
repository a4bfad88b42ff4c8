"""``ztfm devices enrol``: a fleet from a file, over the API.

The work is the adapters', which the control plane does not need; it is loaded by name when asked for.
"""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Protocol, cast

import typer

COMMAND = "adapters.fleet.command"


class Command(Protocol):
    """What is asked of the adapters (`adapters.fleet.command`)."""

    def main(self, arguments: list[str], prog: str) -> int:
        """Enrol a fleet, and return the exit status."""
        ...


def register(group: typer.Typer) -> None:
    """Add this command to the group ``ztfm devices``."""
    group.command("enrol")(enrol)


def enrol(
    file: Annotated[Path, typer.Argument(metavar="FLEET", help="CSV or JSON Lines: name, roles, segment.")],
    out: Annotated[Path, typer.Option(help="Folder of keys, journal and errors; made, for its owner alone.")],
    admin: Annotated[
        Path | None, typer.Option(help="Folder of an enrolled administrator, who issues tokens on the way.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="The control plane's public URL; else the administrator's.")] = None,
    at_once: Annotated[int | None, typer.Option(min=1, max=256, help="Devices enrolled at a time (16).")] = None,
    hours: Annotated[float | None, typer.Option(help="That a token holds which is issued on the way (1).")] = None,
    patience: Annotated[
        float | None, typer.Option(help="Seconds that the control plane may be away before the run ends (120).")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option(metavar="PEM", help="That the control plane's certificate leads to.")
    ] = None,
    socket: Annotated[Path | None, typer.Option(help="Unix socket of the control plane.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Look through the file, and enrol nothing.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Enrol the devices of a file, each with a key and a folder of its own.

    Stopped or killed, the same command goes on from there; nothing is enrolled twice. Exits with 0 when every device
    is enrolled, with 1 when some are not, with 2 when the file cannot be used, with 130 when it was stopped.

    Example: `ztfm devices enrol fleet.csv --out station --admin keys/administrator`
    """
    stated = {
        "--out": out,
        "--admin": admin,
        "--url": url,
        "--at-once": at_once,
        "--hours": hours,
        "--patience": patience,
        "--authority": authority,
        "--socket": socket,
    }
    arguments = [part for name, value in stated.items() if value is not None for part in (name, str(value))]
    flags = [name for name, is_given in (("--check", check), ("--json", json_output)) if is_given]
    command = cast("Command", import_module(COMMAND))
    raise typer.Exit(command.main([*arguments, *flags, "--", str(file)], "ztfm devices enrol"))
