"""``ztfm devices``: who is enrolled, how one stands and why, and setting it apart, back, or out, on the store."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from controlplane.api.behaviour import described
from controlplane.cli import devices_changed, devices_listed
from controlplane.cli.configured import load_settings
from controlplane.cli.devices_why import show as show_why
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
    "Example: `ztfm devices list --sort trust --limit 20`",
    no_args_is_help=True,
)

devices_listed.register(app)
devices_changed.register(app)

Identifier = Annotated[str, typer.Argument(metavar="ID", help="The device, such as dev-Qm2f...")]
StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

Work = Callable[[Settings, Store, Registry], Awaitable[Result]]


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
        "attestation": device.attestation.level if device.attestation.holds_at(time.time()) else "none (it expired)",
        "enrolled": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(device.enrolled_at)),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)
