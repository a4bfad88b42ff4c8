"""``ztfm models seal`` and its kin: weights at rest that only those can open whom a key is released to.

What reads tensors is the adapters' business, which the control plane does not need; it is loaded by name.
"""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol, cast

import typer

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.confidentiality.chunks import KEY_BYTES

FAULT, REFUSED = 2, 1

Sealed = Annotated[Path, typer.Argument(metavar="FILE", help="The sealed file.")]
Out = Annotated[Path, typer.Option("--out", help="The file to write; what was there is replaced.")]
Model = Annotated[str, typer.Option("--model", help="The model's identifier in policies/data.")]
Key = Annotated[Path, typer.Option("--key", help="File with the model's key; it stays with the model's owner.")]
Shards = Annotated[list[str] | None, typer.Option("--shard", help="This shard; may be given several times.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Kit(Protocol):
    """What is asked of the adapters (`adapters.sealed.command`)."""

    FAULTS: tuple[type[Exception], ...]

    def seal(
        self, weights: Path, out: Path, groups: Mapping[str, Sequence[str]], model_key: bytes, **names: str
    ) -> Any:
        """Seal weights, and return what the file says of itself."""
        ...

    def unseal(self, sealed: Path, out: Path, model_key: bytes, **wanted: Any) -> list[str]:
        """Open shards, and return the names of their tensors."""
        ...

    def select(self, sealed: Path, out: Path, shards: Sequence[str]) -> Any:
        """Write a sealed file with some of the shards."""
        ...

    def show(self, sealed: Path) -> Any:
        """Return what a sealed file says of itself."""
        ...


def seal(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A safetensors file.")],
    out: Out,
    model: Model,
    key: Annotated[Path, typer.Option("--key", help="File with the model's key, made where there is none; mode 0600.")],
    round_id: Annotated[str, typer.Option("--round", help="After which round, or the name of a release.")],
    revision: Annotated[str, typer.Option("--revision", help="The policy revision that is in force.")],
    shard: Annotated[
        list[str], typer.Option("--shard", help="NAME=PATTERN[,PATTERN] of tensors; the first that fits counts.")
    ],
    json_output: AsJson = False,
) -> None:
    """Seal weights by their shards: each opens with a key of its own, which is released to attested platforms alone.

    Have the shards' keys released with `ztfm secrets register --model-key`.

    Example: `ztfm models seal weights.safetensors --out weights.sealed --model fall-detection --key model.key
    --round 2026.1 --revision 7c1d9e --shard adapter='*lora*' --shard head='head.*' --shard encoder='*'`
    """
    kit = _kit()
    groups = dict(_group(one) for one in shard)
    value = _read_or_make_key(key)
    found = _tried(
        "seal",
        kit,
        lambda: kit.seal(weights, out, groups, value, model=model, round_id=round_id, policy_revision=revision),
    )
    _print(found, json_output)


def unseal(
    sealed: Sealed,
    out: Out,
    model: Model,
    key: Key,
    shard: Shards = None,
    round_id: Annotated[str | None, typer.Option("--round", help="Refuse weights of another round.")] = None,
    json_output: AsJson = False,
) -> None:
    """Open sealed weights with the model's key, as its owner can; devices open theirs by keys that are released.

    Exits with 0 when they are open, with 1 when they do not open, with 2 when a file cannot be used.

    Example: `ztfm models unseal weights.sealed --out adapter.safetensors --model fall-detection --key model.key
    --shard adapter`
    """
    kit, value = _kit(), _read_key("unseal", key)
    wanted = {"model": model, "shards": shard or [], "round_id": round_id}
    names = _tried("unseal", kit, lambda: kit.unseal(sealed, out, value, **wanted))
    typer.echo(json.dumps({"tensors": names}) if json_output else f"{out} has {len(names)} tensors")


def select(
    sealed: Sealed,
    out: Out,
    shard: Annotated[list[str], typer.Option("--shard", help="This shard; may be given several times.")],
    json_output: AsJson = False,
) -> None:
    """Write a sealed file with some of the shards of another, for whoever is to hold no more; no key is needed.

    Example: `ztfm models select weights.sealed --out few.sealed --shard adapter --shard encoder`
    """
    kit = _kit()
    _print(_tried("select", kit, lambda: kit.select(sealed, out, shard)), json_output)


def sealed(sealed: Sealed, json_output: AsJson = False) -> None:
    """Show what a sealed file says of itself. Nothing of it is proven before it is opened.

    Example: `ztfm models sealed weights.sealed --json`
    """
    kit = _kit()
    _print(_tried("sealed", kit, lambda: kit.show(sealed)), json_output)


def register(app: typer.Typer) -> None:
    """Add the commands to ``ztfm models``."""
    for command in (seal, unseal, select, sealed):
        app.command(command.__name__)(command)


def _read_or_make_key(path: Path) -> bytes:
    try:
        text = read_private(path)
        if text is None:
            text = create_private(path, urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    except (KeyFileError, OSError) as error:
        _fail("seal", str(error), FAULT)
    return parse_key("seal", path, text)


def _read_key(command: str, path: Path) -> bytes:
    try:
        text = read_private(path)
    except (KeyFileError, OSError) as error:
        _fail(command, str(error), FAULT)
    if text is None:
        _fail(command, f"{path} is not there: it is the key that the weights were sealed with", FAULT)
    return parse_key(command, path, text)


def parse_key(command: str, path: Path, text: bytes) -> bytes:
    """Return the model's key that a file holds.

    Args:
        command: that asks, as people type it.
        path: of the file.
        text: what it holds.

    Raises:
        typer.Exit: it holds none.
    """
    try:
        value = urlsafe_b64decode(text.strip())
    except ValueError:
        value = b""
    if len(value) != KEY_BYTES:
        _fail(command, f"{path} holds no key of a model: {KEY_BYTES} bytes in base64url", FAULT)
    return value


def _group(text: str) -> tuple[str, list[str]]:
    name, separator, patterns = text.partition("=")
    if not separator or not name or not all(patterns.split(",")):
        _fail("seal", f"--shard {text}: give NAME=PATTERN, such as adapter='*lora*'", FAULT)
    return name, patterns.split(",")


def _tried(command: str, kit: Kit, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except OSError as error:
        _fail(command, str(error), FAULT)
    except kit.FAULTS as error:
        _fail(command, str(error), REFUSED)


def _print(found: Any, json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"{found['model']}, round {found['round_id']}, under revision {found['policy_revision']}")
    for shard in found["shards"]:
        typer.echo(
            f"    {shard['name']}  {shard['size_bytes']} bytes{'' if shard['present'] else ', not in this file'}"
        )


def _kit() -> Kit:
    return cast("Kit", import_module("adapters.sealed.command"))


def _fail(command: str, message: str, status: int) -> NoReturn:
    typer.echo(f"ztfm models {command}: {message}", err=True)
    raise typer.Exit(status) from None
