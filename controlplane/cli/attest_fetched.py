"""``ztfm attest fetch``: collateral from its makers into the folder of roots, before what is there expires."""

import json
import time
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from controlplane.attestation.certificates import RootsInvalid
from controlplane.attestation.chains import load_anchors
from controlplane.attestation.collateral import CollateralFolder, expires_at
from controlplane.attestation.dcap.issued import check_issued
from controlplane.attestation.fetching import FetchFailed, fetch_amd_list, fetch_intel, https_get
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.revocation import RevocationLists
from controlplane.cli.attest import AsJson, Roots
from controlplane.cli.configured import load_settings
from controlplane.cli.devices_why import when

Kind = Literal["sgx", "tdx"]
Authority = Literal["processor", "platform"]
Product = Literal["Milan", "Genoa", "Turin"]
Signer = Literal["vcek", "vlek"]

_OF_AMD = ("snp", "azure")
"""Kinds of evidence that AMD's roots vouch for."""

app = typer.Typer(
    help="Collateral from its makers, for verifiers on this machine; nothing else fetches any.\n\n"
    "Example: `ztfm attest fetch intel --kind tdx --fmspc 90c06f000000 --authority platform`",
    no_args_is_help=True,
)


@app.command("intel")
def intel(
    kind: Annotated[Kind, typer.Option(help="Of evidence.")],
    fmspc: Annotated[str, typer.Option(help="Model of processor, as `ztfm attest verify` names it: 12 hex digits.")],
    authority: Annotated[Authority, typer.Option(help="Who certifies the keys of that platform.")],
    roots_dir: Roots = None,
    json_output: AsJson = False,
) -> None:
    """Fetch what Intel says of a model of processor, and put it beside the roots.

    Example: `ztfm attest fetch intel --kind sgx --fmspc 00a067110000 --authority processor`
    """
    folder = _folder(roots_dir)
    try:
        data = fetch_intel(kind, fmspc.lower(), authority, https_get)
        # What verifies nothing must not take the place of what does.
        check_issued(data, kind, fmspc.lower(), load_anchors(folder / kind), time.time())
        path = CollateralFolder(folder / kind / "collateral").keep(f"{kind}-{fmspc.lower()}-{authority}", data)
    except (FetchFailed, EvidenceRefused, RootsInvalid, ValueError, OSError) as error:
        _fail(str(error))
    _say([path], expires_at(data), json_output)


@app.command("amd")
def amd(
    product: Annotated[Product, typer.Option(help="Of processors.")],
    signer: Annotated[Signer, typer.Option(help="Of reports.")] = "vcek",
    roots_dir: Roots = None,
    json_output: AsJson = False,
) -> None:
    """Fetch AMD's list of revoked authorities, and put it beside the roots of snp and azure that vouch for it.

    Example: `ztfm attest fetch amd --product Milan`
    """
    folder = _folder(roots_dir)
    name = f"{product.lower()}-{signer}.crl"
    try:
        data = fetch_amd_list(product, signer, https_get)
        ends = expires_at(data)
        paths = _kept([folder / kind / name for kind in _OF_AMD], data)
    except (FetchFailed, RootsInvalid, ValueError, OSError) as error:
        _fail(str(error))
    _say(paths, ends, json_output)


def _kept(places: list[Path], data: bytes) -> list[Path]:
    """Put a list beside the roots that vouch for it, and return where it is now.

    Raises:
        RootsInvalid: no place has such a root, or it is no list.
    """
    kept: list[Path] = []
    refused: list[RootsInvalid] = []
    for path in places:
        try:
            # A list that no root signed would keep all evidence from being verified.
            RevocationLists(load_anchors(path.parent), {path.name: data})
        except RootsInvalid as error:
            refused.append(error)
            continue
        written = path.with_suffix(".new")
        written.write_bytes(data)
        written.replace(path)
        kept.append(path)
    if not kept:
        raise refused[0]
    return kept


def _folder(roots_dir: Path | None) -> Path:
    folder = roots_dir or load_settings().attestation_roots
    if folder is None:
        _fail("name a folder of roots with --roots or ZTFM_ATTESTATION_ROOTS")
    return folder


def _say(paths: list[Path], ends: float, json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps({"files": [str(path) for path in paths], "expires_at": ends}))
        return
    for path in paths:
        typer.echo(f"{path} counts until {when(ends)}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"ztfm attest fetch: {message}", err=True)
    raise typer.Exit(1) from None
