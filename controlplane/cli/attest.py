"""``ztfm attest``: the roots that evidence is verified with, and evidence in a file, verified by them."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import Field, ValidationError
from rich.console import Console
from rich.table import Table

from controlplane.attestation.certificates import RootsInvalid
from controlplane.attestation.collateral import held
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.members import decode_members
from controlplane.attestation.plugging import VerifierUnusable, kinds_in, open_verifier
from controlplane.cli.configured import load_settings
from controlplane.cli.devices_why import when
from controlplane.cli.moments import moment
from controlplane.contracts.attestation import MAX_MEMBERS, Claims, Encoded, EvidenceType
from controlplane.contracts.base import Label, LenientModel
from controlplane.contracts.unambiguous import read_json
from controlplane.sidecar.folders import product_folder

MOST_BYTES = 8 * 1024 * 1024

app = typer.Typer(
    help="Attestation: the roots that evidence is verified with, and evidence in a file.\n\n"
    "Example: `ztfm attest roots --json`",
    no_args_is_help=True,
)

Roots = Annotated[
    Path | None,
    typer.Option("--roots", help="Folder with a folder of roots a kind; else ZTFM_ATTESTATION_ROOTS."),
]
At = Annotated[str | None, typer.Option("--at", help="When it has to hold: a date, or an age such as 24h; now.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="JSON with `kind` and `evidence`, as a device sends it.")]


class EvidenceFile(LenientModel):
    """Evidence as a device sends it; what else is in the file is passed over.

    Attributes:
        kind: of evidence.
        evidence: its members, base64 or base64url, by name.
    """

    kind: EvidenceType
    evidence: Annotated[dict[Label, Encoded], Field(min_length=1, max_length=MAX_MEMBERS)]


@dataclass(frozen=True)
class RootsFound:
    """What there is for one kind of evidence.

    Attributes:
        kind: of evidence.
        usable: it is verified with what is there.
        fault: why it is not; empty when it is.
        files: in its folder.
        levels: what policy on this machine says of its roots, by their names.
        collateral: when each file of it expires, Unix seconds, by its name.
    """

    kind: str
    usable: bool
    fault: str
    files: list[str]
    levels: dict[str, str]
    collateral: dict[str, float]


@app.command("roots")
def roots(roots_dir: Roots = None, json_output: AsJson = False) -> None:
    """List the kinds of evidence that are verified, with what, and what policy says of each root.

    Example: `ztfm attest roots --roots /etc/ztfm/attestation`
    """
    folder = _folder("roots", roots_dir)
    try:
        found = [_looked_at(kind, folder / kind) for kind in kinds_in(folder)]
    except VerifierUnusable as error:
        _fail("roots", str(error))
    is_ok = all(one.usable for one in found)
    if json_output:
        typer.echo(json.dumps({"folder": str(folder), "ok": is_ok, "kinds": [asdict(one) for one in found]}))
    else:
        Console().print(_table(found))
    if not is_ok:
        raise typer.Exit(1)


@app.command("verify")
def verify(file: File, roots_dir: Roots = None, at: At = None, json_output: AsJson = False) -> None:
    """Verify evidence offline, and print what it says; exits with 1 when it does not verify.

    Whether it answers a challenge is not looked at: `bound` is what it carries.

    Example: `ztfm attest verify evidence.json --at 2026-03-01T12:00Z --json`
    """
    claims = _claims("verify", file, roots_dir, at, json_output)
    if json_output:
        typer.echo(json.dumps({"verified": True, "claims": claims.model_dump(mode="json", exclude_none=True)}))
        return
    for line in _lines(claims):
        typer.echo(line)


@app.command("reference")
def reference(
    file: File,
    name: Annotated[str, typer.Option(help="Of the reference values, such as gateways-2026.")],
    description: Annotated[str, typer.Option(help="What it is, for those who read the data.")] = "",
    this_platform: Annotated[bool, typer.Option("--this-platform", help="For the one that it is of alone.")] = False,
    roots_dir: Roots = None,
    at: At = None,
    json_output: AsJson = False,
) -> None:
    """Make reference values of evidence that verifies, as `data/attestation` has them; take out what may change.

    It prints JSON either way; with `--json` on one line.

    Example: `ztfm attest reference evidence.json --name gateways-2026 --description "Gateways, image of March"`
    """
    claims = _claims("reference", file, roots_dir, at, json_output)
    values = reference_of(claims, description or f"Made of {file.name}.")
    if this_platform:
        values["platforms"] = {claims.platform: "the one that it was made of"}
    made = {"references": {name: values}}
    typer.echo(json.dumps(made, indent=None if json_output else 2, ensure_ascii=False))


def reference_of(claims: Claims, description: str) -> dict[str, Any]:
    """Return the reference values that evidence which says this agrees with, and nothing else does."""
    unmeasured = {} if claims.measurements else {"unmeasured": True}
    return {
        "description": description,
        "kind": claims.kind,
        "anchors": {claims.anchor: True},
        "measurements": {name: {digest: "as it was seen"} for name, digest in claims.measurements.items()},
        "versions": dict(claims.versions),
        "attributes": {name: {value: True} for name, value in claims.attributes.items()},
        "statuses": {claims.status: True},
        "advisories": dict.fromkeys(claims.advisories, True),
        "vector": {"instance_identity": "affirming", "executables": "affirming"},
        **unmeasured,
    }


def _claims(command: str, file: Path, roots_dir: Path | None, at: str | None, json_output: bool) -> Claims:
    """Return what the evidence of a file says, or end the command."""
    shown = _read(command, file)
    folder = _folder(command, roots_dir)
    if not (folder / shown.kind).is_dir():
        _fail(command, f"there are no roots for {shown.kind} in {folder}; put them into {folder / shown.kind}")
    try:
        then = time.time() if at is None else moment(at, time.time())
        verifier = open_verifier(shown.kind, folder / shown.kind)
        return verifier.verify(decode_members(shown.evidence, verifier.members), then)
    except ValueError as error:
        _fail(command, f"--at: {error}", 2)
    except VerifierUnusable as error:
        _fail(command, str(error))
    except EvidenceRefused as error:
        if json_output:
            typer.echo(json.dumps({"verified": False, "cause": error.cause, "words": error.words}))
            raise typer.Exit(1) from None
        _fail(command, f"{file} does not verify ({error.cause}): {error.words}")


def _read(command: str, file: Path) -> EvidenceFile:
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            _fail(command, f"{file} has more than {MOST_BYTES} bytes")
        return EvidenceFile.model_validate(read_json(data))
    except OSError as error:
        _fail(command, f"{file} cannot be read: {error.strerror}")
    except ValidationError as error:
        named = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        _fail(command, f"{file} holds no evidence ({named[:300]}): it has kind and evidence, as a device sends them")
    except ValueError as error:
        _fail(command, f"{file} holds no evidence, as it is no JSON that everybody reads alike: {error}")


def _folder(command: str, roots_dir: Path | None) -> Path:
    folder = roots_dir or load_settings().attestation_roots
    if folder is None:
        _fail(command, "name a folder of roots with --roots or ZTFM_ATTESTATION_ROOTS")
    return folder


def _looked_at(kind: str, folder: Path) -> RootsFound:
    fault, collateral = "", {}
    try:
        open_verifier(kind, folder)
        collateral = {str(one.path.relative_to(folder)): one.expires_at for one in held(folder)}
    except (VerifierUnusable, RootsInvalid) as error:
        fault = str(error)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return RootsFound(kind, not fault, fault, names, _levels().get(kind, {}), collateral)


def _levels() -> Mapping[str, dict[str, str]]:
    """Return what the policies of this machine say of roots, by kind and name."""
    policies = load_settings().policies or product_folder("policies")
    try:
        found = json.loads((policies / "data" / "attestation" / "data.json").read_bytes())["anchors"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _table(found: list[RootsFound]) -> Table:
    table = Table("", "kind", "roots and what policy says of them", "expires first", "fault", title="ztfm attest roots")
    for one in found:
        mark = "[green]ok[/]" if one.usable else "[red]unusable[/]"
        stems = sorted({Path(name).stem for name in one.files if "/" not in name})
        said = ", ".join(f"{stem} ({one.levels.get(stem, 'not named: proves nothing')})" for stem in stems)
        first = when(min(one.collateral.values())) if one.collateral else ""
        table.add_row(mark, one.kind, said, first, one.fault)
    return table


def _lines(claims: Claims) -> list[str]:
    said = claims.model_dump(mode="json", exclude_none=True)
    lines = []
    for name, value in said.items():
        if isinstance(value, dict):
            lines += [f"{name}.{key}: {inner}" for key, inner in sorted(value.items())]
        else:
            lines.append(f"{name}: {', '.join(value) or 'none' if isinstance(value, list) else value}")
    return lines


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm attest {command}: {message}", err=True)
    raise typer.Exit(status) from None
