"""``ztfm audit``: the log of everything that was decided, looked through here, and proofs checked without trust."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.progress import Progress

from controlplane.audit.checking import Checked, check
from controlplane.cli.stores import on_store
from controlplane.storage import Store
from controlplane.transparency.checkpoints import Quorum
from controlplane.transparency.merkle import ProofFailed
from controlplane.transparency.notes import NoteInvalid, Verifier
from controlplane.transparency.proofs import LogKeys, Proven, RecordProof, verify_record

app = typer.Typer(
    help="The log of everything that was decided: look through it, and check proofs.\n\nExample: `ztfm audit check`",
    no_args_is_help=True,
)

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("check")
def check_log(state_dir: StateDir = None, json_output: Json = False) -> None:
    """Look through the whole log of a store: every entry, every record that it commits to, and the signed head.

    Exits with 1 when something is not as it was written, and says what.

    Example: `ztfm audit check --state-dir state`
    """

    async def _work(store: Store) -> Checked:
        with Progress(disable=json_output or not sys.stderr.isatty(), transient=True) as shown:
            task = shown.add_task("entries", total=None)

            def _tell(found: Checked) -> None:
                shown.update(task, completed=found.entries, total=found.size)

            return await check(store.log, store.decisions, _tell)

    found = on_store("audit check", state_dir, _work)
    if json_output:
        typer.echo(json.dumps({**asdict(found), "sound": not found.faults}))
    else:
        typer.echo(
            f"{found.entries} entries, {found.records} records compared, {found.erased} erased: "
            + ("as they were written" if not found.faults else f"{len(found.faults)} faults")
        )
        for fault in found.faults:
            typer.echo(f"  {fault.what}: {fault.message}")
    if found.faults:
        raise typer.Exit(1)


@app.command("verify")
def verify(
    proof: Annotated[Path, typer.Argument(help="What `GET /v1/decisions/{id}/proof` answered; - for standard input.")],
    keys: Annotated[
        Path | None, typer.Option(help="What `GET /v1/log/keys` answered at a time when you trusted it.")
    ] = None,
    log_key: Annotated[str | None, typer.Option(help="The log's verifier key, instead of --keys.")] = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="A witness's verifier key; may be given several times.")
    ] = None,
    needed: Annotated[
        int | None, typer.Option(min=0, help="Witnesses that must have signed; all that are named by default.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Check, without a server, that a decision is in the log as it was recorded, and who saw that log.

    Exits with 1 when it is not shown to be.

    Example: `ztfm audit verify proof.json --keys log-keys.json`
    """
    try:
        quorum = _quorum(keys, log_key, witness or [], needed)
        raw = sys.stdin.buffer.read() if str(proof) == "-" else proof.read_bytes()
        found = verify_record(RecordProof.model_validate_json(raw), quorum)
    except ValidationError as error:
        _fail(f"{proof} holds no proof: {error.errors()[0]['msg']}")
    except (NoteInvalid, ProofFailed, OSError, ValueError) as error:
        _fail(str(error))
    _show(found, quorum, json_output)


def _quorum(keys: Path | None, log_key: str | None, witnesses: list[str], needed: int | None) -> Quorum:
    if (keys is None) == (log_key is None):
        raise ValueError("name the log's key with --keys FILE or --log-key KEY")
    if keys is not None:
        try:
            known = LogKeys.model_validate_json(keys.read_bytes())
        except ValidationError:
            raise ValueError(f"{keys} holds no keys of a log, as GET /v1/log/keys answers them") from None
        log_key, witnesses = known.log, [*known.witnesses, *witnesses]
        needed = known.needed if needed is None else needed
    verifiers = tuple(Verifier.parse(one) for one in dict.fromkeys(witnesses))
    return Quorum(Verifier.parse(log_key or ""), verifiers, len(verifiers) if needed is None else needed)


def _show(found: Proven, quorum: Quorum, json_output: bool) -> None:
    head = found.seen.checkpoint
    if json_output:
        shown = {
            "id": found.entry.id,
            "kind": found.entry.kind,
            "time_ms": found.entry.time_ms,
            "place": found.place,
            "log": head.origin,
            "size": head.size,
            "witnesses": list(found.seen.witnesses),
            "needed": quorum.needed,
            "witnessed_at": found.seen.witnessed_at,
        }
        typer.echo(json.dumps(shown))
        return
    when = datetime.fromtimestamp(found.entry.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    typer.echo(f"{found.entry.kind} {found.entry.id} of {when} is entry {found.place} of {head.origin}")
    typer.echo(f"in its head of {head.size} entries, seen by {', '.join(found.seen.witnesses) or 'no witness'}")
    if not quorum.needed:
        typer.echo("No witness was wanted: the log's keeper could show others another log.")


def _fail(message: str) -> NoReturn:
    typer.echo(f"ztfm audit verify: {message}", err=True)
    raise typer.Exit(1)
