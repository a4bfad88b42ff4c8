"""``ztfm policy replay`` and ``explain``: what was decided, why, and what another policy would have decided."""

import asyncio
import gc
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console

from controlplane.authoring import AuthoringError, PolicyFolder
from controlplane.bundles import PolicyKeyError, Trust
from controlplane.cli.configured import load_settings
from controlplane.cli.moments import moment
from controlplane.cli.policy_explained import show
from controlplane.cli.policy_explained_site import SITE, show_site
from controlplane.cli.policy_groups import TITLES, Row, show_groups
from controlplane.contracts.decision import DecisionQuery
from controlplane.contracts.shadow import DISAGREEMENTS
from controlplane.history.changes import Comparison
from controlplane.history.deciders import deciders
from controlplane.history.documents import compared, explained, in_order
from controlplane.history.engine import deciding
from controlplane.history.explain import explain
from controlplane.history.masked import Readers
from controlplane.history.records import DamagedRecord, allowed_alike, count, parse, recorded
from controlplane.history.replay import ReplayFailed, replay
from controlplane.releasing import trust_of
from controlplane.settings import Settings
from controlplane.sidecar import SidecarError, locate_opa
from controlplane.sidecar.folders import product_folder
from controlplane.storage import Store, open_store
from controlplane.storage.addresses import read_address
from controlplane.storage.errors import StoreError

Result = TypeVar("Result")

MAX_DECISIONS = 10_000_000
PROGRESS_SECONDS = 1.0

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Moment = Annotated[str | None, typer.Option(help="A date such as 2026-03-01T12:00Z, or an age such as 90m, 24h, 7d.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the group ``ztfm policy``."""
    app.command("replay")(replay_decisions)
    app.command("explain")(explain_decision)


def replay_decisions(
    candidate: Annotated[Path, typer.Option(help="The policy folder that decides this time.")],
    since: Moment = None,
    until: Moment = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_DECISIONS, help="The newest so many.")] = 100_000,
    action: Annotated[str | None, typer.Option(help="Only this action.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only what this subject asked.")] = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Decide recorded requests again by a candidate policy, and say who would newly be denied or allowed.

    Nothing of a control plane that runs is touched. Exits with 0 when nothing changes, 1 when something does, 2 when it
    cannot be said.

    Example: `ztfm policy replay --candidate policies --since 7d --json`
    """
    settings = load_settings(state_dir=state_dir)
    query = _query("replay", since, until, action, subject)
    comparison, revision, seconds = _run("replay", _replay(settings, candidate, query, limit))
    if not comparison.decided:
        # A gate that compared nothing must not be open.
        masked = f" ({comparison.masked:,} are masked where the candidate reads)" if comparison.masked else ""
        _fail(
            "replay", f"there are no recorded decisions to compare{masked}; look at --since, --action and --state-dir"
        )
    if json_output:
        typer.echo(json.dumps(compared(comparison, revision, seconds)))
    else:
        _show(comparison, candidate, revision, seconds)
    raise typer.Exit(int(comparison.is_changed))


def explain_decision(
    decision_id: Annotated[str, typer.Argument(help="The decision, as a denial names it.")],
    policies: Annotated[Path | None, typer.Option(help="Policy folder to explain by, whatever decided.")] = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Explain a recorded decision: what held, what was missing, where its rules are, what would have been allowed.

    The rules are those that decided, read from their release, or today's where they are kept no more: it says which.
    The smallest change of facts is searched for with a real OPA.

    Example: `ztfm policy explain dec-019a7b0c1d2e3f405162738495a6b7c8`
    """
    settings = load_settings(state_dir=state_dir)
    try:
        folder = policies or settings.policies or product_folder("policies")
    except FileNotFoundError as error:
        _fail("explain", str(error))
    is_found = _run("explain", _explain(settings, decision_id, folder, policies is None, json_output))
    if not is_found:
        kept = f"records are kept for {settings.decision_days:g} days at most"
        _fail("explain", f"there is no decision {decision_id!r}; {kept}")


async def _explain(settings: Settings, decision_id: str, folder: Path, from_releases: bool, as_json: bool) -> bool:
    async def work(store: Store) -> bool:
        kept = await store.decisions.record(decision_id)
        if kept is None:
            return False
        found = parse(decision_id, *kept)
        if found.package == SITE:
            show_site(found, as_json=as_json)
            return True
        today = PolicyFolder.open(folder, product_folder("policies"))
        opa = await asyncio.to_thread(locate_opa, os.environ)
        donors = await allowed_alike(store.decisions, found)
        releases, trust = (store.releases, _trust(settings)) if from_releases else (None, None)
        async with deciders(str(found.document["policy_revision"]), today, releases, trust) as policies:
            explanation = await explain(found, opa, policies.folder, donors)
            if as_json:
                typer.echo(json.dumps(explained(explanation, policies)))
            else:
                show(explanation, policies, Console())
        return True

    return await _with_store(settings, work)


def _trust(settings: Settings) -> Trust | None:
    """Return who may sign policies; none, and no new key, where that is not known here."""
    if settings.policy_trust_dir is None and not settings.resolved_policy_key_file.is_file():
        return None
    try:
        return trust_of(settings)
    except PolicyKeyError:
        return None


async def _replay(
    settings: Settings, candidate: Path, query: DecisionQuery, limit: int
) -> tuple[Comparison, str, float]:
    # Records leave no cycles behind: looking for them cost a quarter of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)

    async def work(store: Store) -> tuple[Comparison, str, float]:
        total = min(limit, await count(store.decisions, query))
        if not total:
            return Comparison(), "", 0.0
        opa = await asyncio.to_thread(locate_opa, os.environ)
        async with deciding(opa, candidate) as policies:
            started = time.monotonic()
            progress = _Progress(total)
            pieces = recorded(store.decisions, query, limit)
            comparison = await replay(pieces, policies.engine, Readers(opa, candidate).reads_masked, progress)
            progress.end()
            return comparison, policies.revision, time.monotonic() - started

    return await _with_store(settings, work)


class _Progress:
    """Says on stderr how far it is and how long it still takes, once a second; on one line in a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._started = self._said = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self._said < PROGRESS_SECONDS:
            return
        self._said = now
        left = (self._total - done) * (now - self._started) / done
        line = f"{done:,} of {self._total:,} decisions, {max(0.0, left):.0f} s left"
        typer.echo(f"\r{line}\x1b[K" if self._is_terminal else line, err=True, nl=not self._is_terminal)

    def end(self) -> None:
        """Leave the terminal's line empty."""
        if self._is_terminal:
            typer.echo("\r\x1b[K", err=True, nl=False)


def _query(
    command: str, since: str | None, until: str | None, action: str | None, subject: str | None
) -> DecisionQuery:
    now = time.time()
    try:
        bounds = [None if text is None else moment(text, now) for text in (since, until)]
        return DecisionQuery(since=bounds[0], until=bounds[1], action=action, subject=subject)
    except ValidationError as error:
        _fail(command, "; ".join(f"--{item['loc'][0]}: {item['msg']}" for item in error.errors(include_input=False)))
    except ValueError as error:
        _fail(command, str(error))


def _run(command: str, work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except (AuthoringError, StoreError, SidecarError, DamagedRecord, ReplayFailed, OSError) as error:
        _fail(command, str(error))


async def _with_store(settings: Settings, work: Callable[[Store], Coroutine[Any, Any, Result]]) -> Result:
    address = read_address(settings.resolved_database_url)
    if address.get_backend_name() == "sqlite" and not await asyncio.to_thread(Path(str(address.database)).is_file):
        # Looking back makes no new store.
        raise FileNotFoundError(f"there is no store at {address.database}; name the folder of one with --state-dir")
    store = await open_store(settings.resolved_database_url)
    try:
        return await work(store)
    finally:
        await store.close()


def _fail(command: str, message: str) -> NoReturn:
    typer.echo(f"ztfm policy {command}: {message}", err=True)
    raise typer.Exit(2) from None


def _show(comparison: Comparison, candidate: Path, revision: str, seconds: float) -> None:
    rate = comparison.decided / seconds if seconds else 0.0
    typer.echo(f"{comparison.decided:,} recorded decisions again, by revision {revision} ({rate:,.0f}/s)")
    if comparison.not_decided:
        typer.echo(f"{comparison.not_decided:,} more were not compared: no policy had decided them")
    if comparison.masked:
        typer.echo(
            f"{comparison.masked:,} more were not compared: the candidate reads what policy keeps out of the log"
        )
    for layer, decided in comparison.layers.items():
        typer.echo(
            f"{decided:,} of them the layer {layer} decided too: it is held to what it said then, and not asked again"
        )
    if not comparison.is_changed:
        typer.echo("nothing changes")
        return
    for change in DISAGREEMENTS:
        if comparison.changes[change]:
            who = len(comparison.subjects[change])
            typer.echo(f"{comparison.changes[change]:,} {TITLES[change]}, of {who:,} subjects")
    if comparison.failed:
        typer.echo(f"on {comparison.failed:,} the candidate gives no decision, which denies")
    rows = [
        Row(one.change, one.action, one.reason, one.segment, (one.count, len(one.subjects)), one.samples[0].id)
        for one in in_order(comparison)
    ]
    show_groups(rows, ("decisions", "subjects"), shlex.quote(str(candidate)))
