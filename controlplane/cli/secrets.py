"""``ztfm secrets``: keys that are released to attested platforms, on the store itself, served or not."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import read_private
from controlplane.capabilities.sealing import Sealer
from controlplane.cli.configured import load_settings
from controlplane.cli.local import local_user
from controlplane.cli.models_sealed import parse_key
from controlplane.cli.stores import on_store
from controlplane.confidentiality.keeping import SecretBook
from controlplane.confidentiality.shards import shard_secret
from controlplane.contracts.base import is_identifier
from controlplane.contracts.secrets import RegisteredSecret
from controlplane.storage import Store

REFUSED, FAULT = 1, 2

_MODEL_KEY = re.compile(rb"[A-Za-z0-9_-]{43}=\s*")
"""As `ztfm models seal` writes one, and `parse_key` reads it."""

app = typer.Typer(
    help="Keys of models and data, kept sealed and released to attested platforms alone.\n\n"
    "Example: `ztfm secrets list`",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The secret, such as fall-detection/adapter.")]
StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("register")
def register(
    name: Name,
    file: Annotated[Path | None, typer.Option("--file", help="Keep the 16 to 512 bytes of this private file.")] = None,
    model_key: Annotated[
        Path | None,
        typer.Option("--model-key", help="Keep the key of the shard MODEL/SHARD that follows from this model's key."),
    ] = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Keep a secret; without a file one is made that nobody has seen. Whom it is released to, data/secrets says.

    Exits with 0 when it is kept, with 1 when one of its name is, with 2 when it cannot be.

    Example: `ztfm secrets register fall-detection/adapter --model-key model.key`
    """
    if not is_identifier(name):
        _fail("register", f"{name} is no name: up to 128 letters, digits and ._:/@+-", FAULT)
    if file is not None and model_key is not None:
        _fail("register", "a secret comes from --file or from --model-key, and not from both", FAULT)
    value = None if file is None else _read(file)
    if value is not None and _MODEL_KEY.fullmatch(value):
        like = "looks like a model's key, which opens all of its shards and stays with its owner"
        _fail("register", f"{file} {like}: use --model-key for a shard's; a key in base64 is kept decoded", FAULT)
    if model_key is not None:
        value = _shard(name, model_key)
    settings = load_settings(state_dir=state_dir)

    async def _keep(store: Store) -> RegisteredSecret | str:
        sealer = Sealer.load_or_create(settings.resolved_sealing_key_file)
        return await SecretBook(store.secrets, sealer, time.time).register(name, value, local_user())

    try:
        found = on_store("secrets register", state_dir, _keep)
    except (KeyFileError, ValueError) as error:
        _fail("register", str(error), FAULT)
    if isinstance(found, str):
        why = {"known": f"a secret {name} is kept: withdraw it first", "full": "there are too many: withdraw some"}
        _fail("register", why[found])
    _show([found], json_output, one=True)


@app.command("list")
def list_secrets(state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """List which secrets are kept; none is shown.

    Example: `ztfm secrets list --json`
    """
    _show(on_store("secrets list", state_dir, lambda store: store.secrets.all()), json_output)


@app.command("withdraw")
def withdraw(name: Name, state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Forget a secret for good: nobody gets it from here any more. Whoever has it already, has it.

    Exits with 0 when it is forgotten, with 1 when there is none.

    Example: `ztfm secrets withdraw fall-detection/adapter`
    """
    if not on_store("secrets withdraw", state_dir, lambda store: store.secrets.remove(name)):
        _fail("withdraw", f"there is no secret {name}; see `ztfm secrets list`")
    typer.echo(json.dumps({"withdrawn": name}) if json_output else f"{name} is withdrawn")


def _read(path: Path) -> bytes:
    try:
        found = read_private(path)
    except (KeyFileError, OSError) as error:
        _fail("register", str(error), FAULT)
    if found is None:
        _fail("register", f"{path} is not there", FAULT)
    return found


def _shard(name: str, path: Path) -> bytes:
    model, separator, shard = name.rpartition("/")
    if not separator or not model or not shard:
        _fail("register", f"{name}: the key of a shard is called MODEL/SHARD", FAULT)
    return shard_secret(parse_key("register", path, _read(path)), model, shard)


def _show(found: Sequence[RegisteredSecret], json_output: bool, *, one: bool = False) -> None:
    if json_output:
        documents = [secret.model_dump(mode="json") for secret in found]
        typer.echo(json.dumps(documents[0] if one else {"secrets": documents}))
        return
    for secret in found:
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(secret.registered_at))
        made = "made here" if secret.made_here else "brought"
        typer.echo(f"{secret.id}  {secret.size_bytes} bytes, {made}, registered {at} by {secret.registered_by}")
    if not found:
        typer.echo("nothing is kept; see `ztfm secrets register --help`", err=True)


def _fail(command: str, message: str, status: int = REFUSED) -> NoReturn:
    typer.echo(f"ztfm secrets {command}: {message}", err=True)
    raise typer.Exit(status) from None
