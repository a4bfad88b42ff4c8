"""``ztfm devices list``: who is enrolled, where each stands and how far it is trusted."""

import json
import time
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from controlplane.cli.moments import moment
from controlplane.cli.sources import StateDir
from controlplane.cli.stores import on_store
from controlplane.contracts.devices import MAX_DEVICES, DeviceQuery, Stands
from controlplane.storage import Store
from controlplane.storage.fleet import Member, Place


def register(group: typer.Typer) -> None:
    """Add this command to the group ``ztfm devices``."""
    group.command("list")(list_devices)


def list_devices(
    status: Annotated[Literal["active", "quarantined", "revoked"] | None, typer.Option(help="These alone.")] = None,
    state: Annotated[Stands | None, typer.Option(help="Those that stand so alone.")] = None,
    segment: Annotated[str | None, typer.Option(help="Those that live there alone.")] = None,
    below: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Those with less trust than this.")] = None,
    text: Annotated[str | None, typer.Option(help="Those with this in their id, a role or the segment.")] = None,
    since: Annotated[str | None, typer.Option(help="Those that enrolled since then: a date, or 24h, 7d.")] = None,
    sort: Annotated[Literal["id", "trust"], typer.Option(help="By id, or by trust, least first.")] = "id",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 1_000,
    after: Annotated[str, typer.Option(metavar="ID", help="Go on after this device.")] = "",
    state_dir: StateDir = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List who is enrolled, where each stands and how far it is trusted; `more` in the JSON says that others follow.

    Example: `ztfm devices list --state watched --segment homes --sort trust --limit 20`
    """
    query = _query(status=status, state=state, segment=segment, below=below, text=text, since=since)

    async def _look(store: Store) -> tuple[list[Member], int]:
        found: list[Member] = []
        place = await _begin(store, after)
        while len(found) <= limit:
            page = await store.fleet.page(query, time.time(), place, min(limit + 1 - len(found), MAX_DEVICES), sort)
            if not page:
                break
            found += page
            place = page[-1].place
        return found, await store.fleet.count(query)

    found, total = on_store("devices list", state_dir, _look)
    _print(found[:limit], total, json_output, is_more=len(found) > limit)


def _query(*, since: str | None, **given: Any) -> DeviceQuery:
    try:
        return DeviceQuery(**given, since=None if since is None else moment(since, time.time()))
    except ValidationError as error:
        named = "; ".join(f"--{item['loc'][0]}: {item['msg']}" for item in error.errors(include_input=False))
    except ValueError as error:
        named = str(error)
    typer.echo(f"ztfm devices list: {named}", err=True)
    raise typer.Exit(2)


async def _begin(store: Store, after: str) -> Place | None:
    """Return where the list begins; one that is not enrolled any more still has a place among ids."""
    if not after:
        return None
    device = await store.devices.get(after)
    return Place(-1.0 if device is None else device.trust.score, after)


def _document(member: Member) -> dict[str, Any]:
    listed = member.listed().model_dump(mode="json", include={"state", "held", "since", "e_value", "observed_at"})
    return {**member.device.model_dump(mode="json"), **listed, "attested": member.attested}


def _print(found: list[Member], total: int, json_output: bool, *, is_more: bool) -> None:
    if json_output:
        typer.echo(json.dumps({"devices": [_document(one) for one in found], "total": total, "more": is_more}))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("id", no_wrap=True)  # whole, to be copied
    for name in ("stands", "trust"):
        table.add_column(name, no_wrap=True)
    for name in ("segment", "roles", "attested"):
        table.add_column(name)
    for one in found:
        device = one.device
        trust = f"{device.trust.score:.3f} after {device.trust.observations}"
        table.add_row(device.id, one.stands, trust, device.segment, ", ".join(device.roles), one.attested or "-")
    Console().print(table)
    if is_more:
        typer.echo(f"there are more, {total} in all: --after {found[-1].device.id}", err=True)
