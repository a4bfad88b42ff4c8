"""``ztfm devices``: who is enrolled, how one stands and why, and setting it apart, back, or out, on the store."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from controlplane.api.behaviour import described
from controlplane.cli.devices_why import show as show_why
from controlplane.cli.serve import load_settings
from controlplane.cli.stores import existing_store
from controlplane.contracts.identity import Device, DeviceStatus, Trust
from controlplane.contracts.standing import MAX_VERDICTS, DeviceBehaviour
from controlplane.identity.registry import Registry
from controlplane.rotation import StoredNotices
from controlplane.settings import Settings
from controlplane.storage import Store
from controlplane.storage.errors import StoreError

Result = TypeVar("Result")

app = typer.Typer(
    help="Devices and services: who is enrolled, and setting one apart, back, or out for good.\n\n"
    "Example: `ztfm devices list --status quarantined`",
    no_args_is_help=True,
)

Identifier = Annotated[str, typer.Argument(metavar="ID", help="The device, such as dev-Qm2f...")]
StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_Listed = tuple[Device, DeviceBehaviour]
Work = Callable[[Settings, Store, Registry], Awaitable[Result]]


@app.command("list")
def list_devices(
    status: Annotated[Literal["active", "quarantined", "revoked"] | None, typer.Option(help="These alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 1_000,
    after: Annotated[str, typer.Option(metavar="ID", help="Go on after this device.")] = "",
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List who is enrolled and where each stands, in order of id; `more` in the JSON says that others follow these.

    Example: `ztfm devices list --status quarantined`
    """

    async def _look(_settings: Settings, store: Store, _registry: Registry) -> list[_Listed]:
        found: list[_Listed] = []
        last = after
        while len(found) <= limit and (page := await store.devices.page(last, 1_000)):
            kept = await store.behaviour.kept([device.id for device in page])
            found += [
                (device, described(device, kept[device.id], []))
                for device in page
                if status in (None, device.status) and device.id in kept
            ]
            last = page[-1].id
        return found

    _print_all(_run("list", state_dir, _look), limit, json_output)


@app.command("show")
def show(device_id: Identifier, state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Say how a device stands.

    Example: `ztfm devices show dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM --json`
    """

    async def _look(_settings: Settings, _store: Store, registry: Registry) -> Device | None:
        return await registry.get(device_id)

    _print(_known("show", device_id, _run("show", state_dir, _look)), json_output)


@app.command("why")
def why(
    device_id: Identifier,
    limit: Annotated[int, typer.Option(min=1, max=MAX_VERDICTS, help="The newest so many verdicts.")] = 20,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Say where a device's behaviour has it stand, and why: one sentence for each remarkable thing that it did.

    Example: `ztfm devices why dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM`
    """

    async def _look(_settings: Settings, store: Store, registry: Registry) -> DeviceBehaviour | None:
        device = await registry.get(device_id)
        kept = await store.behaviour.kept([device_id])
        if device is None or device_id not in kept:
            return None
        return described(device, kept[device_id], await store.observations.verdicts(device_id, limit))

    found = _known("why", device_id, _run("why", state_dir, _look))
    if json_output:
        typer.echo(found.model_dump_json())
    else:
        show_why(found, Console())


@app.command("quarantine")
def quarantine(device_id: Identifier, state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Set a device apart: it is granted nothing, and what it holds is void, until somebody releases it.

    Example: `ztfm devices quarantine dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM`
    """
    _change("quarantine", device_id, "quarantined", state_dir, json_output)


@app.command("release")
def release(device_id: Identifier, state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Let a quarantined device take part again, with a newcomer's trust and nothing against it.

    Example: `ztfm devices release dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM`
    """
    _change("release", device_id, "active", state_dir, json_output)


@app.command("revoke")
def revoke(device_id: Identifier, state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Shut a device out for good: its key is never accepted again. Its owner enrols with a new key and token.

    Example: `ztfm devices revoke dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM`
    """
    _change("revoke", device_id, "revoked", state_dir, json_output)


def _change(command: str, device_id: str, status: DeviceStatus, state_dir: Path | None, json_output: bool) -> None:
    async def _change_it(_settings: Settings, _store: Store, registry: Registry) -> Device | None:
        device = await registry.get(device_id)
        if device is None:
            return None
        if not await registry.set_status(device_id, status):
            _fail(command, f"{device_id} is revoked, and stays so: it enrols again with a new key and token")
        return await registry.get(device_id)

    _print(_known(command, device_id, _run(command, state_dir, _change_it)), json_output)


def _run(command: str, state_dir: Path | None, work: Work[Result]) -> Result:
    settings = load_settings(state_dir=state_dir)

    async def opened() -> Result:
        async with existing_store(settings) as store:
            newcomer = Trust(score=settings.newcomer_trust, observations=0)
            registry = Registry(store, time.time, announcer=StoredNotices(time.time), newcomer=newcomer)
            return await work(settings, store, registry)

    try:
        return asyncio.run(opened())
    except (StoreError, OSError) as error:
        _fail(command, str(error))


def _known(command: str, device_id: str, found: Result | None) -> Result:
    if found is None:
        _fail(command, f"no device {device_id} is enrolled; see `ztfm devices list`")
    return found


def _fail(command: str, message: str) -> NoReturn:
    typer.echo(f"ztfm devices {command}: {message}", err=True)
    raise typer.Exit(1)


def _print(device: Device, json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps(device.model_dump(mode="json")))
        return
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    rows = {
        "id": device.id,
        "status": device.status,
        "roles": ", ".join(device.roles),
        "segment": device.segment,
        "trust": f"{device.trust.score:.3f} after {device.trust.observations} updates",
        "attestation": device.attestation.level,
        "enrolled": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(device.enrolled_at)),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)


def _in_a_word(stands: DeviceBehaviour) -> str:
    if stands.status == "active":
        return stands.state
    return "held" if stands.held else stands.status


def _print_all(found: list[_Listed], limit: int, json_output: bool) -> None:
    shown, is_more = found[:limit], len(found) > limit
    if json_output:
        listed = [{**one.model_dump(mode="json"), "state": stands.state, "held": stands.held} for one, stands in shown]
        typer.echo(json.dumps({"devices": listed, "more": is_more}))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("id", no_wrap=True)  # whole, to be copied
    table.add_column("stands", no_wrap=True)
    table.add_column("roles")
    for device, stands in shown:
        table.add_row(device.id, _in_a_word(stands), ", ".join(device.roles))
    Console().print(table)
    if is_more:
        typer.echo(f"there are more: --after {shown[-1][0].id}", err=True)
