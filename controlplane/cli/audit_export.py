"""``ztfm audit export`` and ``subject``: the log for others' tools, and what is known about one subject."""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from controlplane.audit.exporting import FORMS, WRITERS, Form
from controlplane.audit.reading import read_record
from controlplane.cli.stores import on_store
from controlplane.history.known import known_of
from controlplane.storage import Store

PAGE = 1000

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]


def export(
    form: Annotated[Form, typer.Option("--form", help=f"One of {', '.join(FORMS)}.")] = "ndjson",
    after: Annotated[int, typer.Option(min=-1, help="Only entries after this place; the last one that came.")] = -1,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 1_000_000_000,
    state_dir: StateDir = None,
    json_output: Annotated[bool, typer.Option("--json", help="The same as --form ndjson.")] = False,
) -> None:
    """Write the log's entries with what they stand for, one a line, in order; the last place goes to standard error.

    To go on later, name that place with --after. Records that were erased are missing; their entries are not.

    Example: `ztfm audit export --form ocsf --after 41 >> decisions.ocsf.ndjson`
    """
    write = WRITERS["ndjson" if json_output else form]

    async def _work(store: Store) -> int:
        place, left, product = after, limit, version("ztfm")
        while left and (page := await store.log.page(place + 1, min(PAGE, left))):
            names = [one.entry.id for one in page if one.entry.kind == "decision" and one.salt is not None]
            records = await store.decisions.documents(names)
            for one in page:
                is_decision = one.entry.kind == "decision"
                record = records.get(one.entry.id) if is_decision else one.document
                decision = read_record(one.entry.id, record) if is_decision and record is not None else None
                sys.stdout.write(write(one, decision, record, product) + "\n")
            place, left = page[-1].place, left - len(page)
        return place

    place = on_store("audit export", state_dir, _work)
    typer.echo(str(place), err=True)


def subject(
    name: Annotated[str, typer.Argument(help="As it was enrolled, or as policy decided about it.")],
    state_dir: StateDir = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object; without it, a summary.")] = False,
) -> None:
    """Say everything that is known about a subject: for whoever it is about, who may ask for it.

    Example: `ztfm audit subject dev-Qm2fYV0b8i1zW3rj5kq7Xc9sT6uN4oE-LhGaDpRyBvM --json > known.json`
    """
    found = on_store("audit subject", state_dir, lambda store: known_of(store, name))
    if json_output:
        typer.echo(json.dumps(found))
        return
    is_known = found["device"] is not None or found["decisions"]
    typer.echo(f"{name}: " + ("registered" if found["device"] is not None else "not registered"))
    for part in ("verdicts", "contributions", "decisions"):
        typer.echo(f"  {len(found[part])} {part}")
    typer.echo(f"  habits kept of {', '.join(found['habits']) or 'nothing'}")
    if is_known:
        typer.echo("All of it: --json")
    else:
        typer.echo(f"ztfm audit subject: nothing is known about {name}; names are in `ztfm devices list`", err=True)
        raise typer.Exit(1)
