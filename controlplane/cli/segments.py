"""``ztfm segments attachments``: where devices are on the network, on the store itself, served meanwhile or not."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from controlplane.cli.local import local_user
from controlplane.cli.stores import on_store
from controlplane.contracts.attachments import MAX_ATTACHMENTS, AttachmentStated
from controlplane.contracts.segmentation import Attachment
from controlplane.storage import Store
from controlplane.storage.segments import Recorded

app = typer.Typer(
    help="Micro-segmentation: where devices are on the network, and what may be reached from there.\n\n"
    "Example: `ztfm segments reach --key keys/operator --device-class camera --line line-2 --service aggregator`",
    no_args_is_help=True,
)
attachments = typer.Typer(
    help="Where devices are on the network.\n\nExample: `ztfm segments attachments list`", no_args_is_help=True
)
app.add_typer(attachments, name="attachments")

Device = Annotated[str, typer.Argument(metavar="DEVICE", help="Its id, such as dev-Qm2f...")]
StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@attachments.command("list")
def list_attachments(
    after: Annotated[str, typer.Option(help="Go on after this device.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=MAX_ATTACHMENTS, help="So many at most.")] = 100,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List where devices are, in order of device.

    Example: `ztfm segments attachments list --json`
    """

    async def _look(store: Store) -> list[Attachment]:
        return await store.segments.attached(after, limit)

    _show(on_store("segments attachments list", state_dir, _look), json_output)


@attachments.command("set")
def set_attachment(
    device: Device,
    address: Annotated[str, typer.Option(help="From which its packets come, in canonical text.")],
    site: Annotated[str, typer.Option(help="Where it stands.")],
    device_class: Annotated[str, typer.Option(help="What it is, such as camera.")],
    line: Annotated[str | None, typer.Option(help="Of the site; none where it has none.")] = None,
    wireguard: Annotated[str | None, typer.Option(help="Public key of its tunnel.")] = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Record where a device is, in place of where it was: what it reached from there ends.

    Exits with 0 when it is kept, with 1 when it cannot be, with 2 when it is not well-formed.

    Example: `ztfm segments attachments set dev-Qm2f... --address 10.20.2.7 --site plant-1 --device-class camera`
    """
    try:
        stated = AttachmentStated(address=address, site=site, line=line, device_class=device_class, wireguard=wireguard)
        kept = Attachment(device=device, **stated.model_dump(), recorded_at=time.time())
    except ValidationError as error:
        first = error.errors()[0]
        _fail("set", f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip(), 2)

    async def _keep(store: Store) -> Recorded:
        return await store.segments.attach(kept, local_user())

    found = on_store("segments attachments set", state_dir, _keep)
    if found != "kept":
        _fail("set", _WHY[found])
    _show([kept], json_output, one=True)


@attachments.command("remove")
def remove_attachment(device: Device, state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Forget where a device is: within a second no router lets it through.

    Exits with 0 when it is forgotten, with 1 when its place was not known.

    Example: `ztfm segments attachments remove dev-Qm2f...`
    """

    async def _forget(store: Store) -> bool:
        return await store.segments.detach(device)

    if not on_store("segments attachments remove", state_dir, _forget):
        _fail("remove", f"it is not known where {device} is; see `ztfm segments attachments list`")
    typer.echo(json.dumps({"device": device, "removed": True}) if json_output else f"{device} is attached nowhere now")


_WHY: dict[Recorded, str] = {
    "unknown": "there is no such device; see `ztfm devices list`",
    "taken": "another device has this address, or this tunnel's key: give each device one of its own",
    "full": f"at most {MAX_ATTACHMENTS:,} are kept: remove those of devices that are gone",
}


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm segments attachments {command}: {message}", err=True)
    raise typer.Exit(status) from None


def _show(found: Sequence[Attachment], json_output: bool, *, one: bool = False) -> None:
    if json_output:
        documents = [item.model_dump(mode="json", exclude_none=True) for item in found]
        typer.echo(json.dumps(documents[0] if one else {"attachments": documents}))
        return
    for item in found:
        where = "/".join(part for part in (item.site, item.line) if part is not None)
        tunnel = "  through a WireGuard tunnel" if item.wireguard is not None else ""
        typer.echo(f"{item.device}  {item.address:<24}  {where}  {item.device_class}{tunnel}")
    if not found:
        typer.echo("no device is attached anywhere: nothing is opened for any", err=True)
