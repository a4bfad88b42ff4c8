"""``ztfm devices list``: who is enrolled, where each stands and how far it is trusted."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from controlplane.api.behaviour import described
from controlplane.cli.sources import StateDir
from controlplane.cli.stores import on_store
from controlplane.contracts.identity import Device
from controlplane.contracts.standing import DeviceBehaviour
from controlplane.storage import Store

PAGE = 1_000

Stands = Literal["trusted", "watched", "recovering", "quarantined", "held", "revoked"]
"""Where a device stands, in a word: by its behaviour, or because a person set it apart or out."""

Listed = tuple[Device, DeviceBehaviour]


@dataclass(frozen=True)
class _Wanted:
    status: str | None
    state: Stands | None
    segment: str | None
    below: float | None
    sort: Literal["id", "trust"]
    after: str

    def wants(self, device: Device, stands: DeviceBehaviour) -> bool:
        """Whether a device is wanted."""
        return (
            self.status in (None, device.status)
            and self.state in (None, in_a_word(stands))
            and (self.below is None or device.trust.score < self.below)
        )


def register(group: typer.Typer) -> None:
    """Add this command to the group ``ztfm devices``."""
    group.command("list")(list_devices)


def list_devices(
    status: Annotated[Literal["active", "quarantined", "revoked"] | None, typer.Option(help="These alone.")] = None,
    state: Annotated[Stands | None, typer.Option(help="Those that stand so alone.")] = None,
    segment: Annotated[str | None, typer.Option(help="Those that live there alone.")] = None,
    below: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Those with less trust than this.")] = None,
    sort: Annotated[Literal["id", "trust"], typer.Option(help="By id, or by trust, least first.")] = "id",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 1_000,
    after: Annotated[str, typer.Option(metavar="ID", help="Go on after this device.")] = "",
    state_dir: StateDir = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List who is enrolled, where each stands and how far it is trusted; `more` in the JSON says that others follow.

    Example: `ztfm devices list --state watched --segment homes --sort trust --limit 20`
    """
    wanted = _Wanted(status, state, segment, below, sort, after)

    async def _look(store: Store) -> list[Listed]:
        found: list[Listed] = []
        async for device, stands in _each(store, wanted):
            if wanted.wants(device, stands):
                found.append((device, stands))
                if len(found) > limit:
                    break
        return found

    found = on_store("devices list", state_dir, _look)
    _print(found[:limit], json_output, is_more=len(found) > limit)


def in_a_word(stands: DeviceBehaviour) -> Stands:
    """Return where a device stands."""
    if stands.status == "active":
        return stands.state
    return "held" if stands.held else stands.status


async def _each(store: Store, wanted: _Wanted) -> AsyncIterator[Listed]:
    """Give every device in the order that is wanted, with where it stands."""
    last, trust = wanted.after, -1.0
    if wanted.sort == "trust" and last and (begin := await store.devices.get(last)) is not None:
        trust = begin.trust.score
    while True:
        if wanted.sort == "trust":
            page = await store.devices.by_trust((trust, last), PAGE, segment=wanted.segment)
        else:
            page = await store.devices.page(last, PAGE, segment=wanted.segment)
        if not page:
            return
        kept = await store.behaviour.kept([device.id for device in page])
        for device in page:
            if device.id in kept:
                yield device, described(device, kept[device.id], [])
        last, trust = page[-1].id, page[-1].trust.score
        if wanted.sort == "trust" and wanted.below is not None and trust >= wanted.below:
            return


def _print(found: list[Listed], json_output: bool, *, is_more: bool) -> None:
    if json_output:
        listed = [{**one.model_dump(mode="json"), "state": stands.state, "held": stands.held} for one, stands in found]
        typer.echo(json.dumps({"devices": listed, "more": is_more}))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("id", no_wrap=True)  # whole, to be copied
    for name in ("stands", "trust"):
        table.add_column(name, no_wrap=True)
    for name in ("segment", "roles"):
        table.add_column(name)
    for device, stands in found:
        trust = f"{device.trust.score:.3f} after {device.trust.observations}"
        table.add_row(device.id, in_a_word(stands), trust, device.segment, ", ".join(device.roles))
    Console().print(table)
    if is_more:
        typer.echo(f"there are more: --after {found[-1][0].id}", err=True)
