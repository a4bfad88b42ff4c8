"""``ztfm models``: sign and verify models, register what was signed, and withdraw it."""

import importlib
import json
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol, cast

import typer
from pydantic import TypeAdapter, ValidationError

from controlplane.cli.configured import load_settings
from controlplane.cli.local import local_user
from controlplane.cli.models_signed import LibraryMissing, Signed, SigningKey, judge, read_signed, sign_model
from controlplane.cli.stores import on_store
from controlplane.contracts.base import Why, is_identifier
from controlplane.contracts.models import MAX_VERSIONS, ModelVersion, VersionDetail
from controlplane.storage import Store
from controlplane.transparency.modelsigners import SETTING, SignatureRefused, SignersInvalid, load_signers

REFUSED, FAULT = 1, 2

_WHY: TypeAdapter[str] = TypeAdapter(Why)

app = typer.Typer(
    help="Models that somebody signed: what policy lets be handed out where a model asks for signatures.\n\n"
    "Example: `ztfm models verify models/fall-detection`",
    no_args_is_help=True,
)

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Its folder, called like the model; or its one file.")]
Signature = Annotated[Path | None, typer.Option(help="Where its signature is; `model.sig` in the folder by default.")]
SignersDir = Annotated[
    Path | None, typer.Option("--signers", help=f"Folder of those whose signatures count; {SETTING} by default.")
]
StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class _Registering(Protocol):
    """What is asked of the adapters (`adapters.models.registering`)."""

    REFUSALS: tuple[type[Exception], ...]

    def register(self, folder: Path, model: str, bundle: str, tensors: str | None) -> VersionDetail:
        """Register a version as whoever was enrolled in a folder."""
        ...


@app.command("sign")
def sign(
    model: Model,
    key: Annotated[Path, typer.Option(help="Private key on P-256, P-384 or P-521, PEM, without a password.")],
    certificate: Annotated[Path | None, typer.Option(help="Sign with this certificate of the key, PEM.")] = None,
    chain: Annotated[list[Path] | None, typer.Option(help="What leads from there to a root, PEM; repeatable.")] = None,
    tensors: Annotated[
        bool, typer.Option(help="Of a folder, state the digest of its tensors too: rounds may begin with it then.")
    ] = True,
    json_output: AsJson = False,
) -> None:
    """Sign a model as OpenSSF model signing does: `model.sig` names the digest of every file.

    Exits with 0 when it is signed, with 2 when it cannot be.

    Example: `ztfm models sign models/fall-detection --key release.key`
    """
    try:
        signature = sign_model(model, SigningKey(key, certificate, tuple(chain or ())), states_tensors=tensors)
    except (LibraryMissing, ValueError, TypeError, OSError, ImportError) as error:
        _fail("sign", str(error), FAULT)
    typer.echo(json.dumps({"signature": str(signature)}) if json_output else f"{signature} is its signature")


@app.command("verify")
def verify(model: Model, signature: Signature = None, signers: SignersDir = None, json_output: AsJson = False) -> None:
    """Verify that somebody who is trusted signed a model, and that no file of it was changed, added or taken away.

    Where OpenSSF's library is installed it has to agree, of a signature by a key.

    Exits with 0 when all holds, with 1 when something does not, with 2 when it could not be looked at.

    Example: `ztfm models verify models/fall-detection --signers signers --json`
    """
    found = _signed("verify", model, signature, signers)
    by, manifest = found.verified.by, found.verified.manifest
    is_judged = False
    if not by.signed_as:
        try:
            is_judged = judge(model, _folder("verify", signers) / f"{by.signer}.pem", signature)
        except SignatureRefused as refused:
            _fail("verify", f"{refused.cause}: {refused.words}")
    stated = {
        "model": manifest.called,
        "id": found.verified.id,
        "signer": by.signer,
        "signed_as": by.signed_as,
        "files": manifest.files,
        "tensors": found.tensors,
        "openssf_agrees": is_judged or None,
    }
    if json_output:
        typer.echo(json.dumps(stated))
        return
    agreed = "; OpenSSF's verifier agrees" if is_judged else ""
    typer.echo(f"{manifest.called} is signed by {by.signer}{f' ({by.signed_as})' if by.signed_as else ''}{agreed}")
    for name, digest in manifest.files.items():
        typer.echo(f"  {digest}  {name}")
    if found.tensors is not None:
        typer.echo(f"  {found.tensors}  its tensors, as rounds name them")


@app.command("register")
def register(
    model: Model,
    who: Annotated[
        Path | None, typer.Option("--as", help="Folder of an enrolled administrator: ask the control plane.")
    ] = None,
    signature: Signature = None,
    signers: SignersDir = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Verify a model and register what was signed: where its data ask for signatures, it is handed out from then on.

    With `--as` the control plane is told, verifies the signature again and asks policy. Without, the store itself is
    written, as commands on the host are.

    Exits with 0 when it is registered, with 1 when it is refused, with 2 when it could not be tried.

    Example: `ztfm models register models/fall-detection --as keys/administrator`
    """
    found = _signed("register", model, signature, signers)
    name = found.verified.manifest.called
    if not is_identifier(name):
        _fail("register", f"{name!a} is no identifier of a model: call the folder like the model, and sign anew")
    if who is not None:
        registering = cast("_Registering", importlib.import_module("adapters.models.registering"))
        try:
            kept = registering.register(who, name, found.bundle, found.tensors_text)
        except registering.REFUSALS as error:
            _fail("register", str(error))
        _show_new(kept, found, json_output)
        return
    version = _registered(found)

    async def _keep(store: Store) -> VersionDetail | None:
        await store.models.register(version, found.verified.manifest.files, found.bundle)
        return await store.models.get(name, version.id)

    written = on_store("models register", state_dir, _keep)
    if written is None:
        _fail("register", "the store does not have it")
    _show_new(written, found, json_output)


@app.command("list")
def list_versions(
    model: Annotated[str | None, typer.Option("--model", help="Of this model alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_VERSIONS, help="The latest so many.")] = 50,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List registered versions, the latest first.

    Example: `ztfm models list --model fall-detection --json`
    """
    _show(on_store("models list", state_dir, lambda store: store.models.page(model, limit)), json_output)


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Its id, such as sha256:1f0c...")],
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Show a version: who signed it, the digests of its files, and what became of it.

    Example: `ztfm models show fall-detection sha256:1f0c... --json`
    """
    found = on_store("models show", state_dir, lambda store: store.models.get(model, version))
    if found is None:
        _fail("show", f"{model} has no version {version}; see `ztfm models list`")
    _show([found], json_output, one=True)


@app.command("withdraw")
def withdraw(
    model: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Its id, such as sha256:1f0c...")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the version.")],
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Withdraw a version: within a second no more capabilities to pull it are given, and it cannot come back.

    Exits with 0 when it is withdrawn, with 1 when there is none, with 2 without a reason that is one.

    Example: `ztfm models withdraw fall-detection sha256:1f0c... --reason "Trained on the wrong data."`
    """
    try:
        why = _WHY.validate_python(reason, strict=True)
    except ValidationError:
        _fail("withdraw", "--reason: a sentence of up to 512 characters, on one line", FAULT)

    async def _end(store: Store) -> VersionDetail | None:
        await store.models.withdraw(model, version, local_user(), why, time.time())
        return await store.models.get(model, version)

    found = on_store("models withdraw", state_dir, _end)
    if found is None:
        _fail("withdraw", f"{model} has no version {version}; see `ztfm models list`")
    _show([found], json_output, one=True)


def _folder(command: str, signers: Path | None) -> Path:
    folder = signers or load_settings().model_signers_dir
    if folder is None:
        _fail(command, f"whose signatures count? Name their folder with --signers, or {SETTING}", FAULT)
    return folder


def _signed(command: str, model: Path, signature: Path | None, signers: Path | None) -> Signed:
    try:
        return read_signed(model, load_signers(_folder(command, signers)), signature)
    except SignatureRefused as refused:
        _fail(command, f"{refused.cause}: {refused.words}")
    except (SignersInvalid, OSError, UnicodeDecodeError) as error:
        _fail(command, str(error), FAULT)


def _registered(found: Signed) -> ModelVersion:
    manifest, by = found.verified.manifest, found.verified.by
    return ModelVersion(
        model=manifest.called,
        id=found.verified.id,
        name=manifest.name,
        root=manifest.root,
        signer=by.signer,
        signed_as=by.signed_as,
        tensors=found.tensors,
        files=len(manifest.files),
        registered_at=time.time(),
        registered_by=local_user(),
        state="registered",
    )


def _show_new(kept: VersionDetail, found: Signed, json_output: bool) -> None:
    if kept.state == "withdrawn":
        remedy = "sign anew with another key, or with something of it changed"
        _fail("register", f"{kept.id} was withdrawn by {kept.withdrawn_by} and cannot come back: {remedy}")
    if kept.signer != found.verified.by.signer:
        remedy = "call the key as before, or sign with another one"
        _fail("register", f"{kept.id} is registered as signed by {kept.signer}: {remedy}")
    _show([kept], json_output, one=True)


def _show(found: Any, json_output: bool, *, one: bool = False) -> None:
    if json_output:
        documents = [item.model_dump(mode="json", exclude_none=True) for item in found]
        typer.echo(json.dumps(documents[0] if one else {"versions": documents}))
        return
    for item in found:
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(item.registered_at))
        typer.echo(f"{item.model}  {item.id}")
        typer.echo(f"    {item.state}, signed by {item.signer}, registered {at} by {item.registered_by}")
        if item.withdrawn_by is not None:
            typer.echo(f"    withdrawn by {item.withdrawn_by}: {item.withdrawn_why}")
        for file in getattr(item, "contents", ()):
            typer.echo(f"    {file.digest}  {file.name}")
    if not found:
        typer.echo("nothing is registered; see `ztfm models register --help`", err=True)


def _fail(command: str, message: str, status: int = REFUSED) -> NoReturn:
    typer.echo(f"ztfm models {command}: {message}", err=True)
    raise typer.Exit(status) from None
