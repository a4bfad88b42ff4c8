"""``ztfm policy exception``: exceptions for a time, on the store itself, while a control plane serves it or not."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError

from controlplane.cli.configured import load_settings
from controlplane.cli.local import local_user
from controlplane.cli.moments import date, length
from controlplane.cli.released import released_data
from controlplane.cli.stores import existing_store
from controlplane.contracts.base import is_identifier
from controlplane.contracts.exceptions import (
    DAY_SECONDS,
    EXCEPTION_PREFIX,
    MAX_ALIKE,
    MAX_EXCEPTION_DAYS,
    ExceptionRequest,
    ExceptionState,
    GrantedException,
    granted,
)
from controlplane.decisions.ids import new_id
from controlplane.settings import Settings
from controlplane.storage import Store
from controlplane.storage.errors import StoreError

Result = TypeVar("Result")

LIVE: tuple[ExceptionState, ...] = ("scheduled", "current")

app = typer.Typer(
    help="Exceptions: waive a few requirements for one subject, resource and action, for a time.\n\n"
    "Example: `ztfm policy exception list --all`",
    no_args_is_help=True,
)

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(group: typer.Typer) -> None:
    """Add these commands to the group ``ztfm policy``."""
    group.add_typer(app, name="exception")


@app.command("grant")
def grant(
    subject: Annotated[str, typer.Option(help="Whom it is for, such as dev-Qm2f...")],
    resource: Annotated[str, typer.Option(help="For which model, or what else is decided about.")],
    action: Annotated[str, typer.Option(help="For which action, such as inference.")],
    waive: Annotated[list[str], typer.Option(help="A requirement that need not be met; may be given several times.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded with every decision that needs the exception.")],
    until: Annotated[str | None, typer.Option(help="When it ends, such as 2026-12-01T00:00Z.")] = None,
    lasts: Annotated[str | None, typer.Option("--for", help="Or for how long: 90m, 24h, 7d.")] = None,
    starts: Annotated[str | None, typer.Option("--from", help="When it starts, instead of now.")] = None,
    approver: Annotated[str | None, typer.Option(help="Who approved it, instead of local:<your user>.")] = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Grant an exception. Running control planes take it in within a second, and nobody else is let past.

    Exits with 0 when it is granted, with 1 when it could not be, with 2 when it is none that can be.

    Example: `ztfm policy exception grant --subject dev-Qm2f --resource smart-home-intents --action inference
    --waive trust_sufficient --reason "Replaced sensor, few rounds yet." --for 7d`
    """
    settings, now = load_settings(state_dir=state_dir), time.time()
    asked = _asked(subject, resource, action, waive, reason, _times(now, starts, until, lasts))
    made = _made(asked, approver, now)

    async def _grant(store: Store) -> bool:
        _check(await _limits(settings, store), asked, now)
        return await store.exceptions.add(made)

    if not _run("grant", settings, _grant):
        _fail(
            "grant", f"too many have not ended: at most {MAX_ALIKE} for one subject, resource and action; revoke some"
        )
    _show([made], json_output, one=True)


@app.command("list")
def list_exceptions(
    subject: Annotated[str | None, typer.Option(help="Those for this subject alone.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those too that expired or were revoked.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="The newest so many.")] = 100,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """List granted exceptions, newest first; `more` in the JSON says that there are others.

    Those that are signed with the policies are in `data/exceptions` of the policy folder.

    Example: `ztfm policy exception list --subject dev-Qm2f --all`
    """
    states = () if everything else LIVE

    async def _look(store: Store) -> list[GrantedException]:
        return await store.exceptions.page(time.time(), states, subject, limit=limit + 1)

    found = _run("list", load_settings(state_dir=state_dir), _look)
    _show(found[:limit], json_output, is_more=len(found) > limit)


@app.command("revoke")
def revoke(
    exception_id: Annotated[str, typer.Argument(metavar="ID", help="The exception, such as exc-019a...")],
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """End an exception now. Running control planes follow within a second.

    Exits with 0 when it has ended, with 1 when there is none.

    Example: `ztfm policy exception revoke exc-019a7c2d4e5f00112233445566778899`
    """

    async def _end(store: Store) -> GrantedException | None:
        now = time.time()
        await store.exceptions.revoke(exception_id, local_user(), now)
        return await store.exceptions.get(exception_id, now)

    found = _run("revoke", load_settings(state_dir=state_dir), _end)
    if found is None:
        _fail("revoke", f"there is no exception {exception_id}; see `ztfm policy exception list --all`")
    _show([found], json_output, one=True)


def _times(now: float, starts: str | None, until: str | None, lasts: str | None) -> tuple[float, float]:
    if (until is None) == (lasts is None):
        _fail("grant", "say when it ends: either --until or --for", 2)
    try:
        begins = now if starts is None else date(starts)
        return begins, date(until) if until is not None else begins + length(lasts or "")
    except ValueError as error:
        _fail("grant", str(error), 2)


def _asked(
    subject: str, resource: str, action: str, waive: list[str], reason: str, times: tuple[float, float]
) -> ExceptionRequest:
    try:
        return ExceptionRequest.model_validate(
            {
                "subject": subject,
                "resource": resource,
                "action": action,
                "waives": list(dict.fromkeys(waive)),
                "reason": reason,
                "starts_at": times[0],
                "ends_at": times[1],
            }
        )
    except ValidationError as error:
        for item in error.errors(include_input=False):
            named = {"waives": "--waive", "ends_at": "--until"}.get(str((item["loc"] or ("",))[0]), "")
            where = named or f"--{item['loc'][0]}" if item["loc"] else "--until"
            typer.echo(f"ztfm policy exception grant: {where}: {item['msg']}", err=True)
        raise typer.Exit(2) from None


def _check(limits: Mapping[str, Any], asked: ExceptionRequest, now: float) -> None:
    if asked.ends_at <= now:
        _fail("grant", "it would have ended already", 2)
    most = limits.get("exception_days_maximum")
    if isinstance(most, bool) or not isinstance(most, int | float) or most > MAX_EXCEPTION_DAYS:
        most = MAX_EXCEPTION_DAYS
    if asked.ends_at - (asked.starts_at or now) > most * DAY_SECONDS:
        _fail("grant", f"it would last too long: policy lets an exception last {most:g} days; grant it anew then", 2)
    waivable = limits.get("waivable")
    if isinstance(waivable, dict) and not set(asked.waives) <= waivable.keys():
        _fail(
            "grant",
            f"--waive: {', '.join(sorted(set(asked.waives) - waivable.keys()))} cannot be waived; what can is"
            f" {', '.join(sorted(waivable))}, by waivable in data/limits of the policies that are released",
            2,
        )


async def _limits(settings: Settings, store: Store) -> Mapping[str, Any]:
    """Return the limits of the policies that are released, or none where they cannot be read."""
    limits = (await released_data(settings, store)).get("limits")
    return limits if isinstance(limits, dict) else {}


def _made(asked: ExceptionRequest, approver: str | None, now: float) -> GrantedException:
    named = local_user() if approver is None else approver
    if named == asked.subject:
        _fail("grant", "nobody approves an exception for itself: name somebody else with --approver", 2)
    if not is_identifier(named):
        _fail("grant", "--approver: up to 128 letters, digits and ._:/@+-, such as operator@example.org", 2)
    return granted(asked, new_id(EXCEPTION_PREFIX, now), named, now)


def _run(command: str, settings: Settings, work: Callable[[Store], Awaitable[Result]]) -> Result:
    async def opened() -> Result:
        async with existing_store(settings) as store:
            return await work(store)

    try:
        return asyncio.run(opened())
    except (StoreError, OSError) as error:
        _fail(command, str(error))


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm policy exception {command}: {message}", err=True)
    raise typer.Exit(status) from None


def _show(found: Sequence[GrantedException], json_output: bool, *, one: bool = False, is_more: bool = False) -> None:
    if json_output:
        documents = [item.model_dump(mode="json", exclude_none=True) for item in found]
        typer.echo(json.dumps(documents[0] if one else {"exceptions": documents, "more": is_more}))
        return
    for item in found:
        ends = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(item.ends_at))
        typer.echo(f"{item.id}  {item.state:9}  until {ends}  used {item.uses} times")
        typer.echo(f"    {item.subject} {item.action} {item.resource}: {', '.join(item.waives)}")
        typer.echo(f"    approved by {item.approver}: {item.reason}")
    if not found:
        typer.echo("no exception is granted; those that ended are listed with --all", err=True)
    if is_more:
        typer.echo("there are more: raise --limit", err=True)
