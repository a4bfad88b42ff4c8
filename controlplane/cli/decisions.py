"""``ztfm decisions``: what was decided, as it is decided, and on which facts."""

import asyncio
import json
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Literal, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from controlplane.audit import AuditUnavailable
from controlplane.cli.asked import Away, Unanswered
from controlplane.cli.configured import load_settings
from controlplane.cli.moments import moment
from controlplane.cli.sources import Key, Records, StateDir, TokenFile, Url, Where, opened_records
from controlplane.contracts.access import AccessReason
from controlplane.contracts.decision import Decision, DecisionQuery, DecisionRecord
from controlplane.storage.errors import StoreError

Result = TypeVar("Result")

FOLLOW_SECONDS = 1.0
LATE_SECONDS = 5.0
"""A decision may be on record this much later than one that was made after it."""

CLOCKS_SECONDS = 60.0
"""This machine's clock and the control plane's may differ by this much."""

MAX_FOLLOWED = 10_000
"""New decisions that one look takes; where more were made meanwhile, older ones are passed over, and it is said."""

_OUTCOMES = {"allow": "green", "deny": "yellow", "error": "red"}

app = typer.Typer(
    help="Decisions: what was asked for, by whom, and what was missing.\n\n"
    "Example: `ztfm decisions list --outcome deny --since 1h`",
    no_args_is_help=True,
)

Moment = Annotated[str | None, typer.Option(help="A date such as 2026-03-01T12:00Z, or an age such as 90m, 24h, 7d.")]


@app.command("list")
def list_decisions(
    action: Annotated[str | None, typer.Option(help="On this action; admin and other are all of theirs.")] = None,
    outcome: Annotated[Literal["allow", "deny", "error"] | None, typer.Option(help="Decided so.")] = None,
    reason: Annotated[str | None, typer.Option(help="In which this requirement was missing.")] = None,
    subject: Annotated[str | None, typer.Option(help="That this subject asked for.")] = None,
    resource: Annotated[str | None, typer.Option(help="On this resource.")] = None,
    revision: Annotated[str | None, typer.Option(help="By this policy revision.")] = None,
    since: Moment = None,
    until: Moment = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new ones, oldest first, until Ctrl-C.")] = False,
    url: Url = None,
    key: Key = None,
    token_file: TokenFile = None,
    state_dir: StateDir = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; with --follow one line for each decision.")
    ] = False,
) -> None:
    """List recorded decisions, newest first; `more` in the JSON says that older ones were not looked at.

    They are read from this machine's store, or with `--key` or `--token-file` over the API.

    Example: `ztfm decisions list --outcome deny --reason trust_sufficient --since 24h`
    """
    where = Where(load_settings(state_dir=state_dir), url, key, token_file)
    named = {"action": action, "outcome": outcome, "reason": reason, "subject": subject}
    asked = {**named, "resource": resource, "revision": revision}
    query = _query(asked, since, until)
    if follow:
        if until is not None:
            _fail("list", "--follow goes on without end: leave --until out", 2)
        _follow(where, query, limit, json_output)
        return

    async def _look(records: Records) -> tuple[list[Decision], bool]:
        return await records.decisions(query, limit)

    found, is_more = _run("list", where, _look)
    if json_output:
        typer.echo(json.dumps({"decisions": [one.model_dump(mode="json") for one in found], "more": is_more}))
        return
    console = Console(highlight=False)
    for one in found:
        _print_line(console, one)
    if is_more:
        typer.echo(f"there are more: {_further(found)}", err=True)
    elif not found:
        typer.echo("no decision is on record that fits", err=True)


@app.command("show")
def show(
    decision_id: Annotated[str, typer.Argument(metavar="ID", help="The decision, as a denial names it.")],
    url: Url = None,
    key: Key = None,
    token_file: TokenFile = None,
    state_dir: StateDir = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a recorded decision and the facts behind it. `ztfm policy explain ID` says why it was decided so.

    Example: `ztfm decisions show dec-019a7b0c1d2e3f405162738495a6b7c8`
    """
    where = Where(load_settings(state_dir=state_dir), url, key, token_file)

    async def _look(records: Records) -> DecisionRecord | None:
        return await records.decision(decision_id)

    found = _run("show", where, _look)
    if found is None:
        kept = f"records are kept for {where.settings.decision_days:g} days at most"
        _fail("show", f"there is no decision {decision_id!r}; {kept}. See `ztfm decisions list`")
    if json_output:
        typer.echo(found.model_dump_json())
    else:
        for line in _lines(found):
            typer.echo(line)


def _follow(where: Where, query: DecisionQuery, limit: int, json_output: bool) -> None:
    console = Console(highlight=False)

    async def _print_each(records: Records) -> None:
        async for one in new_ones(records, query, limit):
            if json_output:
                typer.echo(one.model_dump_json())
            else:
                _print_line(console, one)

    try:
        _run("list", where, _print_each)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def new_ones(records: Records, query: DecisionQuery, limit: int) -> AsyncIterator[Decision]:
    """Give the newest decisions, oldest first, then each new one; while nobody answers, say so and ask again.

    Args:
        records: where they are on record.
        query: which ones.
        limit: of those that are there already, the newest so many.
    """
    seen: dict[str, float] = {}
    since, most, is_away, oldest = query.since, limit, False, 0.0
    while True:
        began = time.time()
        try:
            found, is_more = await records.decisions(query.model_copy(update={"since": since}), most)
        except (Away, StoreError) as error:
            if not is_away:
                typer.echo(f"{error}; it is asked again", err=True)
            is_away = True
            await asyncio.sleep(FOLLOW_SECONDS)
            continue
        if is_away:
            typer.echo("it answers again", err=True)
            is_away = False
        if seen and is_more and not any(one.id in seen for one in found):
            typer.echo(f"more than {most:,} were decided meanwhile: older ones are passed over", err=True)
        if most == limit and is_more:
            # What the first look left out is not new later.
            oldest = min((one.time for one in found), default=0.0)
        for one in reversed(found):
            is_new = one.id not in seen and one.time >= oldest
            if is_new and (query.action is not None or not records.is_own(one)):
                yield one
        seen |= {one.id: one.time for one in found}
        # Where nothing that fits is decided, the log is not looked through again from the beginning.
        since = max([began - CLOCKS_SECONDS, query.since or 0.0, *(at - LATE_SECONDS for at in seen.values())])
        seen = {name: at for name, at in seen.items() if at >= since}
        most = MAX_FOLLOWED
        await asyncio.sleep(FOLLOW_SECONDS)


def _print_line(console: Console, one: Decision) -> None:
    """Print a decision on one line, whole on any terminal: its id is there to be copied."""
    text = Text.assemble(
        f"{_time(one.time)}  ",
        (f"{one.outcome:6}", _OUTCOMES.get(one.outcome, "")),
        f" {one.id}  {one.action} on {one.resource} by {one.subject}",
    )
    if one.reasons:
        text.append(f": {', '.join(reason.code for reason in one.reasons)}")
    console.print(text, soft_wrap=True)


def _lines(found: DecisionRecord) -> Sequence[str]:
    took = "" if found.seconds is None else f", in {found.seconds * 1000:.1f} ms"
    missing = [line for one in found.reasons for line in _missing(one)]
    obligations = found.obligations.model_dump(mode="json", exclude_defaults=True)
    masked = [f"kept out of the log by policy: {', '.join(found.masked)}"] if found.masked else []
    return [
        f"{found.id}: {found.outcome}, {_time(found.time)}{took}",
        f"{found.subject} asked for {found.action} on {found.resource}",
        f"decided by revision {found.policy_revision or '(none: policy could not be asked)'}",
        *missing,
        *([f"obligations: {json.dumps(obligations)}"] if obligations else []),
        *masked,
        "facts:",
        json.dumps(found.facts, indent=2, ensure_ascii=False),
        f"why: ztfm policy explain {found.id}",
    ]


def _missing(reason: AccessReason) -> Sequence[str]:
    return [
        f"  missing {reason.code}: {reason.message}",
        *(f"          {one.sentence}" for one in reason.differences),
        *([] if reason.until is None else [f"          Until: {_time(reason.until)}"]),
        f"          Remedy: {reason.remedy}",
    ]


def _query(asked: dict[str, str | None], since: str | None, until: str | None) -> DecisionQuery:
    now = time.time()
    try:
        bounds = {"since": since, "until": until}
        times = {name: None if text is None else moment(text, now) for name, text in bounds.items()}
        return DecisionQuery.model_validate({**asked, **times})
    except ValidationError as error:
        named = "; ".join(f"--{item['loc'][0]}: {item['msg']}" for item in error.errors(include_input=False))
        _fail("list", named, 2)
    except ValueError as error:
        _fail("list", str(error), 2)


def _further(found: Sequence[Decision]) -> str:
    if not found:
        return "so many records were looked through that fit not; narrow it with --since and --until"
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found[-1].time + 1))
    return f"--limit, or go on with --until {shlex.quote(at)}"


def _run(command: str, where: Where, work: Callable[[Records], Awaitable[Result]]) -> Result:
    async def opened() -> Result:
        async with opened_records(where) as records:
            return await work(records)

    try:
        return asyncio.run(opened())
    except BrokenPipeError:
        # Whoever read it has gone, which is no fault.
        raise
    except (Unanswered, StoreError, AuditUnavailable, OSError) as error:
        _fail(command, str(error))


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm decisions {command}: {message}", err=True)
    raise typer.Exit(status) from None


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
