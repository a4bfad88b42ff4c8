"""``ztfm tokens``: single-use enrolment tokens."""

import asyncio
import json
import time
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from controlplane.cli.configured import load_settings
from controlplane.cli.released import released_data
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.settings import Settings
from controlplane.storage import open_store
from controlplane.storage.errors import StoreError

app = typer.Typer(
    help="Single-use enrolment tokens.\n\nExample: `ztfm tokens issue --role trainer --segment homes`",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Keep ``issue`` a subcommand while it is the only one."""


@app.command("issue")
def issue(
    role: Annotated[list[str], typer.Option(help="What the device will do; may be given several times.")],
    segment: Annotated[str, typer.Option(help="Where it lives.")],
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many tokens.")] = 1,
    lifetime: Annotated[int, typer.Option(min=60, max=2_592_000, help="Seconds until they expire.")] = 3600,
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder.")] = None,
    policies: Annotated[
        Path | None, typer.Option(help="Folder of policies whose roles and segments count; else those released.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Issue tokens; each enrols one device, once. They are shown now and never again.

    Exits with 2 for a role or a segment that the policies do not know, or that do not fit: nobody could enrol.

    Example: `ztfm tokens issue --role trainer --segment homes --count 20`
    """
    settings = load_settings(state_dir=state_dir)
    try:
        tokens = asyncio.run(_issue(settings, policies, role, segment, lifetime, count))
    except ValidationError as error:
        for item in error.errors(include_input=False):
            typer.echo(f"ztfm tokens issue: {item['loc'][0]}: {item['msg']}", err=True)
        raise typer.Exit(2) from None
    except (StoreError, OSError) as error:
        typer.echo(f"ztfm tokens issue: {error}", err=True)
        raise typer.Exit(1) from None
    if json_output:
        typer.echo(json.dumps({"tokens": tokens, "roles": role, "segment": segment, "lifetime_seconds": lifetime}))
    else:
        typer.echo("\n".join(tokens))


async def _issue(
    settings: Settings, policies: Path | None, roles: list[str], segment: str, lifetime: int, count: int
) -> list[str]:
    if settings.database_url is None and not settings.state_dir.exists():
        typer.echo(
            f"ztfm tokens issue: {settings.state_dir.resolve()} is new: a control plane that runs on another folder "
            "will not know these tokens; give its folder as --state-dir",
            err=True,
        )
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = await open_store(settings.resolved_database_url)
    try:
        data = await released_data(settings, store, policies)
        _check(data.get("roles"), data.get("segments"), roles, segment)
        return await EnrolmentTokens(store.tokens, time.time).issue(roles, segment, float(lifetime), count)
    finally:
        await store.close()


def _check(known: Any, segments: Any, roles: Sequence[str], segment: str) -> None:
    """Exit unless the data name the roles, and a place for each in the segment, as `ztfm.admin` has it over the API."""
    if not isinstance(known, dict) or not isinstance(segments, dict):
        _refuse("the roles and segments of the policies cannot be read; name their folder with --policies", 1)
    for role in roles:
        if role not in known:
            _refuse(f"--role: {_unknown('role', role, known)}")
    if segment not in segments:
        _refuse(f"--segment: {_unknown('segment', segment, segments)}")
    entry = segments[segment]
    taken = entry.get("roles") if isinstance(entry, dict) else None
    fitting = sorted(role for role, fits in taken.items() if fits is True) if isinstance(taken, dict) else []
    for role in roles:
        if role not in fitting:
            _refuse(f"--role: {role} has no place in {segment}, by data/segments; it takes {', '.join(fitting)}")


def _unknown(kind: str, name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]}?" if near else "."
    return f"there is no {kind} {name[:64]!r}{guess} By data/{kind}s there are {', '.join(sorted(known))}"


def _refuse(message: str, status: int = 2) -> NoReturn:
    typer.echo(f"ztfm tokens issue: {message}", err=True)
    raise typer.Exit(status)
