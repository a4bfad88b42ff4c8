"""``ztfm policy build``, ``sign`` and ``key``: policies become one file that somebody vouches for."""

import json
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from controlplane.bundles import BundleRefused, BundleSigner, PolicyKeyError, read_archive
from controlplane.bundles.archive import MAX_PACKED_BYTES, write_archive
from controlplane.bundles.layout import WASM
from controlplane.bundles.verification import read_manifest
from controlplane.cli.configured import load_settings
from controlplane.contracts.policies import PolicyLayer, digest_of
from controlplane.releases.building import build
from controlplane.sidecar import BundleError, SidecarError, locate_opa
from controlplane.sidecar.errors import OpaFailed
from controlplane.sidecar.files import write_whole
from controlplane.sidecar.folders import product_folder

REFUSED, FAULT = 1, 2
PASSPHRASE = "ZTFM_POLICY_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable

Layer = Annotated[PolicyLayer, typer.Option(help="Whose policies they are.")]
Key = Annotated[
    Path | None,
    typer.Option(help=f"Private PEM file, instead of this machine's; {PASSPHRASE} opens it."),
]
StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder, where its key lies.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the group ``ztfm policy``."""
    app.command("build")(build_policies)
    app.command("sign")(sign_bundle)
    app.command("key")(show_key)


def build_policies(
    policies: Annotated[Path | None, typer.Option(help="Policy folder, instead of the one that serves.")] = None,
    layer: Layer = "base",
    out: Annotated[Path | None, typer.Option(help="The file to write; LAYER.tar.gz else.")] = None,
    key: Key = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Leave the signature to `ztfm policy sign`.")] = False,
    wasm: Annotated[bool, typer.Option(help="Compile for the embedded engine too.")] = True,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Build a policy folder into one bundle, and sign it with this machine's key, which is made where there is none.

    The same folder, OPA and key give the same file, byte for byte.

    Exits with 0 when it was built, with 1 when the policies do not make a bundle, with 2 when it could not be done.

    Example: `ztfm policy build --policies my-policies --out base.tar.gz`
    """
    settings = load_settings(state_dir=state_dir)
    if layer != "base" and policies is None:
        _fail("build", f"name the folder of the {layer}'s policies with --policies", FAULT)
    try:
        folder = policies or settings.policies or product_folder("policies")
        signer = None if unsigned else _signer(key, settings.resolved_policy_key_file)
        made = build(locate_opa(os.environ), folder, layer, wasm=wasm)
        files = dict(made.files)
        body = write_archive(files) if signer is None else signer.sign(files, layer, made.revision)
        target = out or Path(f"{layer}.tar.gz")
        write_whole(target, body)
    except (OpaFailed, PolicyKeyError, OSError) as error:
        _fail("build", str(error), FAULT)
    except BundleRefused as refusal:
        _fail("build", refusal.detail, REFUSED)
    except SidecarError as error:
        _fail("build", str(error), REFUSED if isinstance(error, BundleError) else FAULT)
    _tell(target, body, layer, made.revision, signer, WASM in files, json_output)


def sign_bundle(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `ztfm policy build` built.")],
    key: Key = None,
    layer: Annotated[PolicyLayer | None, typer.Option(help="Sign only if it is this layer's.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write, instead of the same one.")] = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Sign a bundle with a key; a signature that it has is replaced.

    It says that you vouch for what is in it, so look first: `ztfm policy check` and `test` on its folder.

    Exits with 0 when it was signed, with 1 when it is no bundle to sign, with 2 when it could not be done.

    Example: `ztfm policy sign base.tar.gz --key release.key --layer base`
    """
    settings = load_settings(state_dir=state_dir)
    try:
        signer = _signer(key, settings.resolved_policy_key_file)
        with bundle.open("rb") as file:
            files = read_archive(file.read(MAX_PACKED_BYTES + 1))
        manifest = read_manifest(files)
        found = manifest.metadata.layer
        if layer not in (None, found):
            _fail("sign", f"{bundle} is a bundle of the layer {found}, not {layer}", REFUSED)
        body = signer.sign(files, found, manifest.revision)
        target = out or bundle
        write_whole(target, body)
    except BundleRefused as refusal:
        _fail("sign", f"{bundle}: {refusal.detail}", REFUSED)
    except (PolicyKeyError, OSError) as error:
        _fail("sign", str(error), FAULT)
    _tell(target, body, found, manifest.revision, signer, WASM in files, json_output)


def show_key(
    key: Annotated[Path | None, typer.Option(help="Private PEM file, instead of this machine's.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Make it; nothing is overwritten.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the public key here, for a trust folder.")] = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Show the key that signs policies: its id, and the public part that others trust.

    Put the public part into `LAYER/NAME.pem` of the folder that ZTFM_POLICY_TRUST_DIR names.

    Exits with 0, or with 2 when there is no such key, or one with `--new`.

    Example: `ztfm policy key --key release.key --new --out trust/base/release.pem`
    """
    path = key or load_settings(state_dir=state_dir).resolved_policy_key_file
    try:
        if new and path.exists():
            _fail("key", f"{path} is there already; nothing is overwritten", FAULT)
        signer = BundleSigner.load_or_create(path) if new else _existing(path)
        if out is not None:
            write_whole(out, signer.public_pem.encode())
    except (PolicyKeyError, OSError) as error:
        _fail("key", str(error), FAULT)
    if json_output:
        said = {"key_id": signer.key_id, "file": str(path), "public": signer.public_pem}
        typer.echo(json.dumps({**said, "out": None if out is None else str(out)}))
        return
    typer.echo(f"key {signer.key_id} in {path}")
    typer.echo(f"its public part is in {out}" if out is not None else signer.public_pem, nl=out is not None)


def _signer(key: Path | None, own: Path) -> BundleSigner:
    return BundleSigner.load_or_create(own, os.environ.get(PASSPHRASE)) if key is None else _existing(key)


def _existing(path: Path) -> BundleSigner:
    found = BundleSigner.load(path, os.environ.get(PASSPHRASE))
    if found is None:
        raise PolicyKeyError(f"there is no key {path}: make one with `ztfm policy key --new --key {path}`")
    return found


def _tell(
    target: Path,
    body: bytes,
    layer: PolicyLayer,
    revision: str,
    signer: BundleSigner | None,
    has_wasm: bool,
    json_output: bool,
) -> None:
    key_id = None if signer is None else signer.key_id
    if json_output:
        found = {"file": str(target), "layer": layer, "revision": revision, "digest": digest_of(body)}
        typer.echo(json.dumps({**found, "key_id": key_id, "size_bytes": len(body), "embedded": has_wasm}))
        return
    typer.echo(f"{target}: {layer} policies, revision {revision}, {len(body):,} bytes")
    typer.echo(f"  digest  {digest_of(body)}")
    typer.echo(f"  signed  {f'by the key {key_id}' if key_id else 'by nobody yet: ztfm policy sign ' + str(target)}")
    if not has_wasm:
        typer.echo("  for OPA alone: the embedded engine needs what was left out with --no-wasm")


def _fail(command: str, message: str, status: int) -> NoReturn:
    typer.echo(f"ztfm policy {command}: {message}", err=True)
    raise typer.Exit(status) from None
