"""``ztfm identity founders`` and ``history``: whom others pin, and what the ledger says of an identity."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import read_private
from controlplane.cli.configured import load_settings
from controlplane.cli.stores import on_store
from controlplane.identifiers.followed import FollowedRecord
from controlplane.identifiers.records import RecordInvalid, SignedRecord
from controlplane.identifying import OrganisationInvalid, founders_of, known_organisation
from controlplane.identity.pinned import Founders, FoundersInvalid
from controlplane.settings import Settings
from controlplane.storage import Store
from controlplane.transparency.keys import read_signer
from controlplane.transparency.notes import NoteInvalid
from controlplane.transparency.proofs import LogKeys
from controlplane.witnessing import KEY_FILE, WitnessesInvalid, read_witnesses

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_FAULTS = (KeyFileError, OrganisationInvalid, FoundersInvalid, NoteInvalid, WitnessesInvalid, OSError)


def register(group: typer.Typer) -> None:
    """Add these commands to the group ``ztfm identity``."""
    group.command("founders")(founders)
    group.command("history")(history)


def founders(state_dir: StateDir = None, json_output: Json = False) -> None:
    """Say what others keep from a time of trust: the organisations that found the federation, and the log's keys.

    What `--json` prints is a file for `ztfm identity check --founders` and for ZTFM_LEDGER_FOUNDERS_FILE.

    Example: `ztfm identity founders --state-dir state --json`
    """
    settings = load_settings(state_dir=state_dir)
    try:
        found = _pinned(settings)
    except _FAULTS as error:
        _fail("founders", str(error))
    if json_output:
        typer.echo(found.model_dump_json(exclude_none=True, indent=2))
        return
    for one in found.founders:
        typer.echo(one.did)
    if found.log is not None:
        typer.echo(f"log {found.log.log}, {found.log.needed} of {len(found.log.witnesses)} witnesses needed")


def history(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A device's name, or an organisation's DID.")],
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Say what became of an identity: every record of it that the ledger has, and those that wait for it.

    Exits with 1 when there is none, or when one of them is a record that nobody may make.

    Example: `ztfm identity history dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM`
    """
    settings = load_settings(state_dir=state_dir)

    async def _work(store: Store) -> tuple[list[FollowedRecord], list[SignedRecord]]:
        waiting = await store.ledgers.waiting([name])
        return await store.ledgers.history(settings.ledger, name), waiting.get(name, [])

    followed, waiting = on_store("identity history", state_dir, _work)
    lines = [
        *(_line(one.record, one.place, one.refusal) for one in followed),
        *(_line(one, "", "") for one in waiting),
    ]
    if not lines:
        _fail("history", f"no record of {name} is known; a control plane that serves makes and reads them")
    if json_output:
        typer.echo(json.dumps({"name": name, "ledger": settings.ledger, "records": lines}))
    else:
        _show(lines)
    if any(line["refusal"] for line in lines):
        raise typer.Exit(1)


def _pinned(settings: Settings) -> Founders:
    organisation = known_organisation(settings, time.time)
    if organisation is None:
        raise OrganisationInvalid(f"there is no organisation's key in {settings.state_dir}: `ztfm serve` makes it")
    found = founders_of(settings, organisation)
    return found.model_copy(update={"federation": settings.federation, "log": found.log or _log_keys(settings)})


def _log_keys(settings: Settings) -> LogKeys | None:
    pem = read_private(settings.log_key_file or settings.state_dir / KEY_FILE)
    if pem is None or settings.ledger != "log":
        return None
    named = [] if settings.log_witnesses_file is None else read_witnesses(settings.log_witnesses_file)
    return LogKeys(
        log=str(read_signer(pem, "note").verifier),
        witnesses=[str(key) for key, _ in named],
        needed=settings.log_witnesses_needed,
    )


def _line(signed: SignedRecord, place: str, refusal: str) -> dict[str, object]:
    try:
        record = signed.read()
    except RecordInvalid:
        return {"act": "", "sequence": None, "hash": "", "place": place, "refusal": refusal or "unreadable"}
    said = record.statement
    return {
        "act": said.act,
        "sequence": said.sequence,
        "hash": record.hash,
        "issuer": said.issuer,
        "time_ms": said.time_ms,
        "place": place,
        "refusal": refusal,
    }


def _show(lines: list[dict[str, object]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("NUMBER", "ACT", "WHEN", "BY", "PLACE", "RECORD"):
        table.add_column(heading)
    for line in lines:
        time_ms = line.get("time_ms")
        when = (
            datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
            if isinstance(time_ms, int)
            else ""
        )
        refused = f" refused: {line['refusal']}" if line["refusal"] else ""
        place = str(line["place"]) or "not final yet"
        cells = (
            line["sequence"],
            f"{line['act']}{refused}",
            when,
            line.get("issuer", ""),
            place,
            str(line["hash"])[:16],
        )
        table.add_row(*(escape(str(cell)) for cell in cells))
    Console(soft_wrap=True, file=sys.stdout).print(table)


def _fail(command: str, message: str) -> NoReturn:
    typer.echo(f"ztfm identity {command}: {message}", err=True)
    raise typer.Exit(1)
