"""``ztfm authority``: the authorities that sign workloads' certificates, whether or not a control plane serves now."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from cryptography.hazmat.primitives.hashes import SHA256
from rich.console import Console
from rich.table import Table

from controlplane.capabilities.errors import CapabilityError
from controlplane.certifying import AuthorityFile
from controlplane.cli.configured import load_settings
from controlplane.entry import authorities_of
from controlplane.identity.authorities import Authorities, AuthorityStanding

app = typer.Typer(
    help="Authorities of workloads' certificates (SPIFFE): which one signs, and the next one.\n\n"
    "Example: `ztfm authority list`",
    no_args_is_help=True,
)

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_authorities(state_dir: StateDir = None, json_output: Json = False) -> None:
    """Say where every authority stands, oldest first; without one, the first is made.

    Example: `ztfm authority list --json`
    """
    _run("list", state_dir, json_output, lambda file, now: file.open(now))


@app.command("rotate")
def rotate(
    at_once: Annotated[
        bool,
        typer.Option(
            "--at-once", help="The key was stolen: the next one signs now, and nothing of the others is trusted."
        ),
    ] = False,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Make the next authority. It is trusted now and signs in an hour; the one before stays trusted for a day more.

    While one waits for its turn, it stays the next one. A certificate that `ztfm tls init` made has to be made anew
    once the next authority signs. With `--at-once` every workload needs a new certificate, and servers with TLS a
    restart.

    Example: `ztfm authority rotate`
    """
    _run("rotate", state_dir, json_output, lambda file, now: file.rotate(now, at_once=at_once))


def _run(
    command: str, state_dir: Path | None, json_output: bool, work: Callable[[AuthorityFile, float], Authorities]
) -> None:
    settings = load_settings(state_dir=state_dir)
    now = time.time()
    try:
        standings = work(authorities_of(settings), now).standings(now)
    except (CapabilityError, OSError) as error:
        _fail(command, str(error))
    if json_output:
        domain = settings.resolved_trust_domain.name
        typer.echo(json.dumps({"trust_domain": domain, "authorities": [_document(item) for item in standings]}))
        return
    table = Table("state", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("SHA-256", no_wrap=True)
    table.add_column("signs from, UTC")
    table.add_column("trusted until, UTC")
    for item in standings:
        table.add_row(item.state, _digest(item)[:16], _moment(item.signs_from), _moment(item.trusted_until))
    Console().print(table)


def _document(item: AuthorityStanding) -> dict[str, object]:
    return {
        "sha256": _digest(item),
        "state": item.state,
        "created_at": item.created_at,
        "signs_from": item.signs_from,
        "trusted_until": item.trusted_until,
    }


def _digest(item: AuthorityStanding) -> str:
    return item.certificate.fingerprint(SHA256()).hex()


def _fail(command: str, message: str) -> NoReturn:
    typer.echo(f"ztfm authority {command}: {message}", err=True)
    raise typer.Exit(1) from None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
