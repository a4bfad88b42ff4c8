"""``ztfm devices changes`` and ``updates``: what happened to devices lately, and what became of one's updates."""

import json
import time
from typing import Annotated

import typer

from controlplane.cli.moments import moment
from controlplane.cli.rounds_judged import judgements, show_updates
from controlplane.cli.sources import StateDir
from controlplane.cli.stores import on_store
from controlplane.contracts.devices import MAX_CHANGES, DeviceChange
from controlplane.contracts.judged import MAX_JUDGED, JudgedUpdate
from controlplane.storage import Store
from controlplane.storage.device_changes import Within

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(group: typer.Typer) -> None:
    """Add these commands to the group ``ztfm devices``."""
    group.command("changes")(changes)
    group.command("updates")(updates)


def changes(
    device: Annotated[str | None, typer.Option(help="What happened to this one alone.")] = None,
    since: Annotated[str, typer.Option(help="Since a date such as 2026-03-01, or for so long: 24h, 7d.")] = "24h",
    until: Annotated[str | None, typer.Option(help="Before this date, or so long ago.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_CHANGES, help="The newest so many.")] = 100,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List what happened to devices, newest first: enrolled, attested, placed, judged, set apart and let back.

    Example: `ztfm devices changes --since 24h`
    """
    now = time.time()
    try:
        begin, end = moment(since, now), now + 1.0 if until is None else moment(until, now)
    except ValueError as error:
        typer.echo(f"ztfm devices changes: {error}", err=True)
        raise typer.Exit(2) from None
    wanted = Within(max(0.0, begin), end, device, limit)
    found, reach = on_store("devices changes", state_dir, lambda store: store.device_changes.page(wanted))
    if json_output:
        told = [one.model_dump(mode="json", exclude_none=True) for one in found]
        typer.echo(json.dumps({"changes": told, "since": reach}))
    else:
        _show(found)


def updates(
    device_id: Annotated[str, typer.Argument(metavar="ID", help="The device, such as dev-Qm2f...")],
    limit: Annotated[int, typer.Option(min=1, max=MAX_JUDGED, help="The newest so many.")] = 20,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List what became of a device's updates to the latest rounds: the evidence against it, round by round, and why.

    Example: `ztfm devices updates dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM --limit 10`
    """

    async def _look(store: Store) -> list[JudgedUpdate] | None:
        if await store.devices.get(device_id) is None:
            return None
        return await judgements(store).of_subject(device_id, limit)

    missing = f"no device {device_id} is enrolled; see `ztfm devices list`"
    show_updates("devices updates", state_dir, _look, missing, json_output)


def _show(found: list[DeviceChange]) -> None:
    for one in found:
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(one.at))
        behind = [f"by {one.by}"] if one.by else []
        behind += [f"decision {one.decision_id}"] if one.decision_id else []
        typer.echo(f"{at}  {one.device}  {one.kind}" + (f", {', '.join(behind)}" if behind else ""))
        typer.echo(f"    {one.what}")
    if not found:
        typer.echo("nothing happened", err=True)
