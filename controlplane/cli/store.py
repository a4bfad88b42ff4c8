"""``ztfm store``: which schema the store has, a backup of it, and what makes one from a backup safe to serve."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy import URL

from controlplane.audit.errors import AuditError
from controlplane.capabilities.errors import CapabilityError
from controlplane.cli.configured import load_settings
from controlplane.cli.store_reopened import LogChoice, Reopened, reopened, restored
from controlplane.settings import Settings
from controlplane.storage.addresses import read_address, shown
from controlplane.storage.backups import back_up
from controlplane.storage.errors import StoreError
from controlplane.storage.migrating import Schema, migrate, schema_of
from controlplane.transparency.notes import NoteInvalid

SERVED = {"current", "older", "next"}
"""How a store may stand to a version that serves it."""

_SAID = {
    "empty": "it has no schema yet: the next start makes it",
    "current": "it is of this version",
    "older": "the next start brings it to this version",
    "next": "the next release has brought it up: this one serves it until the upgrade is done",
    "unknown": "this version does not serve it: start the version that it was brought to, or the release before that",
}

app = typer.Typer(
    help="The store: its schema, backups, and putting one back.\n\nExample: `ztfm store backup ztfm-backup.db`",
    no_args_is_help=True,
)

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
WhichLog = Annotated[
    LogChoice | None,
    typer.Option(
        "--log",
        help="Go on with the same transparency log, where nothing of it was signed since the backup, or begin another "
        "with the entries that there are; without it, what this machine remembers of the log decides.",
    ),
]


@app.command("status")
def status(state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Say which schema the store has and whether this version serves it; changes nothing. Exits with 1 when not.

    Example: `ztfm store status --json`
    """
    _, address = _existing("status", state_dir)
    try:
        found = asyncio.run(schema_of(address))
    except (StoreError, OSError) as error:
        _fail("status", str(error))
    _show_schema(found, address, json_output)
    if found.stands not in SERVED:
        raise typer.Exit(1)


@app.command("migrate")
def bring_up(state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Bring the store to this version's schema, as a start does; several at once wait for one another.

    All of it happens in one transaction, or nothing. Control planes of the release before go on working meanwhile.

    Example: `ztfm store migrate`
    """
    _, address = _existing("migrate", state_dir)

    async def _work() -> Schema:
        await migrate(address)
        return await schema_of(address)

    try:
        _show_schema(asyncio.run(_work()), address, json_output)
    except (StoreError, OSError) as error:
        _fail("migrate", str(error))


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; none is written over.")],
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Copy a SQLite store as it is at one moment, while it is served or not, into a private file.

    The keys are not in it, by intent: whoever has the store and the sealing key can sign. Keep those elsewhere.
    PostgreSQL is backed up with its own tools; this says how.

    Example: `ztfm store backup /backup/ztfm-2026-03-01.db`
    """
    settings, address = _existing("backup", state_dir)
    if address.get_backend_name() != "sqlite":
        _fail(
            "backup", "the store is PostgreSQL's: `pg_dump --format=custom --file=FILE NAME`, or its continuous archive"
        )
    try:
        back_up(Path(str(address.database)), file)
        size, keys = file.stat().st_size, [str(one) for one in keys_of(settings) if one.exists()]
    except (StoreError, OSError) as error:
        _fail("backup", str(error))
    if json_output:
        typer.echo(json.dumps({"file": str(file.resolve()), "bytes": size, "keys_elsewhere": keys}))
        return
    typer.echo(f"{file}: {size} bytes. Not in it, to be kept elsewhere: {', '.join(keys) or 'no key is here'}")


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `ztfm store backup` wrote.")],
    log: WhichLog = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Put a backup of a SQLite store in the store's place, look through its log, and make it safe to serve.

    The control plane must be stopped. What was there is moved aside. What `ztfm store reopen` does is done. When any of
    it fails, nothing has changed. For PostgreSQL: `pg_restore`, then `ztfm store reopen`.

    Example: `ztfm store restore /backup/ztfm-2026-03-01.db`
    """
    settings = load_settings(state_dir=state_dir)
    try:
        found = asyncio.run(restored(settings, file, log))
    except (StoreError, AuditError, CapabilityError, NoteInvalid, OSError) as error:
        _fail("restore", str(error))
    _show_reopened(found, json_output)


@app.command("reopen")
def reopen(log: WhichLog = None, state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Make a store that was put back by other tools safe to serve, before its first start.

    Every signing key is withdrawn: what was issued is void, so no one-time capability counts twice. Enrolment tokens,
    attestation challenges and kept answers go, for nobody knows which were used. Events are numbered beyond those that
    were told of. The log goes on only where nothing of it was signed since, else another one begins.

    Example: `ztfm store reopen --log new`
    """
    settings, _ = _existing("reopen", state_dir)
    try:
        found = asyncio.run(reopened(settings, log))
    except (StoreError, AuditError, CapabilityError, NoteInvalid, OSError) as error:
        _fail("reopen", str(error))
    _show_reopened(found, json_output)


def keys_of(settings: Settings) -> list[Path]:
    """Return the files that no backup of the store holds, and that a control plane needs beside it."""
    return [
        settings.resolved_sealing_key_file,
        settings.resolved_policy_key_file,
        settings.resolved_organisation_key_file,
        settings.resolved_authority_file,
        settings.log_key_file or settings.state_dir / "log-signing.key",
    ]


def _existing(command: str, state_dir: Path | None) -> tuple[Settings, URL]:
    settings = load_settings(state_dir=state_dir)
    try:
        address = read_address(settings.resolved_database_url)
    except StoreError as error:
        _fail(command, str(error))
    if address.get_backend_name() == "sqlite" and not Path(str(address.database)).is_file():
        _fail(command, f"there is no store {address.database}: name the control plane's folder with --state-dir")
    return settings, address


def _show_schema(found: Schema, address: URL, json_output: bool) -> None:
    if json_output:
        shown_as = {"store": shown(address), "schema": found.found, "version": found.head, "stands": found.stands}
        typer.echo(json.dumps({**shown_as, "served": found.stands in SERVED}))
        return
    typer.echo(
        f"{shown(address)}: schema {found.found or 'none'}, this version's is {found.head}: {_SAID[found.stands]}"
    )


def _show_reopened(found: Reopened, json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps(found.document()))
        return
    for line in found.lines():
        typer.echo(line)


def _fail(command: str, message: str) -> NoReturn:
    typer.echo(f"ztfm store {command}: {message}", err=True)
    raise typer.Exit(1) from None
