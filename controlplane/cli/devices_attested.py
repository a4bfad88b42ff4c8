"""``ztfm devices attestation``: what a device has proven of its platform, on the store."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from controlplane.cli.configured import load_settings
from controlplane.cli.devices_why import when
from controlplane.cli.stores import existing_store
from controlplane.contracts.attested import DeviceAttestation, KeptResult
from controlplane.contracts.identity import Attestation
from controlplane.settings import Settings
from controlplane.storage.errors import StoreError

Identifier = Annotated[str, typer.Argument(metavar="ID", help="The device, such as dev-Qm2f...")]


def attestation(
    device_id: Identifier,
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a device has proven of its platform, by which evidence, and until when it counts.

    Example: `ztfm devices attestation dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM`
    """
    settings = load_settings(state_dir=state_dir)
    try:
        found = asyncio.run(_look(settings, device_id))
    except (StoreError, OSError) as error:
        _fail(str(error))
    if found is None:
        _fail(f"no device {device_id} is enrolled; see `ztfm devices list`")
    if json_output:
        typer.echo(found.model_dump_json(exclude_none=True))
    else:
        for line in lines(found, time.time()):
            typer.echo(line)


def lines(found: DeviceAttestation, now: float) -> list[str]:
    """Return the lines of it, for people; ``now`` in Unix seconds."""
    proven = found.attestation
    if proven.verified_at is None:
        said = [f"{found.subject} has proven nothing that counts now"]
    else:
        until = "" if proven.expires_at is None else f", until {when(proven.expires_at)}"
        said = [f"{found.subject} has proven the level {proven.level} at {when(proven.verified_at)}{until}"]
    for one in found.results:
        said += [f"  {one.kind:7} {_result(one, now)}", f"          decision {one.decision_id}"]
    return said


def _result(one: KeptResult, now: float) -> str:
    if one.level == "none":
        return f"counts no more since {when(one.verified_at)}: evidence contradicted the reference values"
    state = "counts" if now < one.expires_at else "has expired"
    release = "" if one.release_key is None else f", release key of {one.release_key.suite}"
    return f"{one.level}, as {one.reference}, at {when(one.verified_at)}: {state}{release}"


async def _look(settings: Settings, device_id: str) -> DeviceAttestation | None:
    async with existing_store(settings) as store:
        device = await store.devices.get(device_id)
        if device is None:
            return None
        proven = device.attestation if device.attestation.holds_at(time.time()) else Attestation()
        results = await store.attestations.of(device_id)
        return DeviceAttestation(subject=device_id, attestation=proven, results=results)


def _fail(message: str) -> NoReturn:
    typer.echo(f"ztfm devices attestation: {message}", err=True)
    raise typer.Exit(1)
