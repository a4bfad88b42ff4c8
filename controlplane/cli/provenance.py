"""``ztfm provenance``: the rounds that led to a model, and every device that shaped it."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from controlplane.capabilities.errors import KeyFileError
from controlplane.cli.configured import load_settings
from controlplane.cli.stores import on_store
from controlplane.decisions.provenance import trace
from controlplane.transparency.notes import NoteInvalid, Verifier
from controlplane.transparency.statements import RoundProvenance, StatementInvalid
from controlplane.witnessing import KEY_FILE, load_signer


def provenance(
    digest: Annotated[str, typer.Argument(metavar="MODEL_DIGEST", help="Of the weights, sha256:...; rounds name it.")],
    log_key: Annotated[str | None, typer.Option(help="The log's verifier key; else this machine's.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Trace a model to every device that shaped it, round by round, from signed statements in the log.

    A round's model is stated once the next round begins with it. Exits with 1 when no stated round led to the model.

    Example: `ztfm provenance sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    """
    try:
        key = Verifier.parse(log_key) if log_key is not None else _own_key(state_dir)
        found = on_store("provenance", state_dir, lambda store: trace(store, digest, key))
    except (KeyFileError, NoteInvalid, StatementInvalid, OSError) as error:
        _fail(str(error))
    if json_output:
        typer.echo(json.dumps({"model": digest, "rounds": [one.model_dump(mode="json") for one in found]}))
    elif found:
        _show(found)
    if not found:
        _fail(f"no stated round led to {digest}: a federation began with it, or no round began with it yet")


def _own_key(state_dir: Path | None) -> Verifier:
    settings = load_settings(state_dir=state_dir)
    path = settings.log_key_file or settings.state_dir / KEY_FILE
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: name the log's key (--log-key) or the folder (--state-dir)")
    return load_signer(path, None).verifier


def _show(found: list[RoundProvenance]) -> None:
    table = Table("round", "aggregator", "devices", "policies", "undone", "from the model")
    for one in found:
        undone = ", ".join(rollback.id for rollback in one.rollbacks)
        revisions = ", ".join(one.policy_revisions)
        table.add_row(one.round_id, one.aggregator, str(len(one.contributions)), revisions, undone, one.before)
    Console().print(table)
    devices = {contribution.subject for one in found for contribution in one.contributions}
    typer.echo(f"{len(devices)} devices shaped it: --json names each with its update and the decision that admitted it")


def _fail(message: str) -> NoReturn:
    typer.echo(f"ztfm provenance: {message}", err=True)
    raise typer.Exit(1)
