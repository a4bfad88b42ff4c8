"""``ztfm policy shadow``: a candidate decides beside the live policy, without effect; what it would change is shown."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from controlplane.bundles import BundleRefused, PolicyKeyError, VerifiedBundle
from controlplane.cli.configured import load_settings
from controlplane.cli.local import local_user
from controlplane.cli.policy_groups import TITLES, Row, show_groups
from controlplane.cli.policy_published import Uncounted, signed_body
from controlplane.cli.stores import existing_store
from controlplane.contracts.policies import PolicyLayer
from controlplane.contracts.shadow import DISAGREEMENTS, ShadowReport
from controlplane.releases.shadows import ShadowBook
from controlplane.releasing import build_publisher, trust_of
from controlplane.settings import Settings
from controlplane.sidecar import BundleError, SidecarError
from controlplane.sidecar.errors import OpaFailed
from controlplane.storage.errors import StoreError
from controlplane.telemetry import configure_logs

Result = TypeVar("Result")

FOUND, FAULT = 1, 2
WATCH_SECONDS = 1.0
_NONE = "no candidate is in the shadow: `ztfm policy shadow start --policies FOLDER` puts one there"

app = typer.Typer(
    help="The shadow: a candidate decides beside the live policy, without effect, and its disagreements are counted."
    "\n\nExample: `ztfm policy shadow start --policies my-policies`",
    no_args_is_help=True,
)

StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(group: typer.Typer) -> None:
    """Add these commands to the group ``ztfm policy``."""
    group.add_typer(app, name="shadow")


@app.command("start")
def start(
    bundle: Annotated[Path | None, typer.Argument(help="A signed bundle of the base.")] = None,
    policies: Annotated[Path | None, typer.Option(help="Policy folder; this machine's key signs it.")] = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Let a candidate decide beside the live policy from now on. Whichever did stops.

    It is verified and checked as a release is. Every control plane on the store takes it up within seconds, each in an
    OPA of its own; no live decision is made by it or waits for it.

    Exits with 0 when it was put there, with 1 when it is refused, with 2 when it could not be done.

    Example: `ztfm policy shadow start --policies my-policies`
    """
    if bundle is not None and policies is not None:
        _fail("start", "name a bundle or a folder, not both", FAULT)
    settings = load_settings(state_dir=state_dir)

    async def _begin(book: ShadowBook) -> ShadowReport:
        body = await asyncio.to_thread(signed_body, settings, bundle, policies, "base")
        return await book.start(body, local_user())

    report = _run("start", settings, _begin)
    if json_output:
        typer.echo(json.dumps(report.shadow.model_dump(mode="json")))
    else:
        typer.echo(f"{report.shadow.revision} is in the shadow; see `ztfm policy shadow report`")


@app.command("stop")
def stop(state_dir: StateDir = None, json_output: AsJson = False) -> None:
    """Take the candidate out of the shadow, and say once more what it would have changed.

    Exits with 0 when it was taken out, with 2 when there is none.

    Example: `ztfm policy shadow stop`
    """

    async def _end(book: ShadowBook) -> ShadowReport | None:
        return await book.stop(local_user())

    report = _run("stop", load_settings(state_dir=state_dir), _end)
    if report is None:
        _fail("stop", _NONE, FAULT)
    _print(report, json_output)


@app.command("report")
def report(
    watch: Annotated[bool, typer.Option("--watch", help="Show it again whenever it changes, until ^C.")] = False,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Say what the candidate would change: who would newly be denied or allowed, why, and where.

    Of one that was stopped the last numbers are kept.

    Exits with 0 when it agrees with every decision, with 1 when it does not or fails on some, with 2 when there is no
    candidate or nothing was compared yet.

    Example: `ztfm policy shadow report --watch`
    """
    settings = load_settings(state_dir=state_dir)
    shown: ShadowReport | None = None
    try:
        while True:
            found = _run("report", settings, ShadowBook.report)
            if found is None:
                _fail("report", _NONE, FAULT)
            if found != shown:
                if watch and not json_output:
                    typer.clear()
                _print(found, json_output)
                shown = found
            if not watch or found.shadow.stopped_at is not None:
                break
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        pass
    if shown is None or not (shown.decided or shown.failed):
        # A gate that compared nothing must not be open.
        _fail("report", "no decision was compared yet; it takes live traffic, and a control plane that serves", FAULT)
    raise typer.Exit(FOUND if shown.disagreed or shown.failed else 0)


def _run(command: str, settings: Settings, work: Callable[[ShadowBook], Awaitable[Result]]) -> Result:
    async def opened() -> Result:
        async with existing_store(settings) as store:

            async def examine(body: bytes, layer: PolicyLayer) -> VerifiedBundle:
                trust = await asyncio.to_thread(trust_of, settings)
                return await build_publisher(store, trust, time.time, Uncounted()).examine(body, layer)

            return await work(ShadowBook(store.shadows, examine, time.time))

    # What is worth saying is said below.
    configure_logs("error", json=False)
    try:
        return asyncio.run(opened())
    except BundleRefused as refused:
        _fail(command, f"refused ({refused.reason}): {refused.detail}", FOUND)
    except (SidecarError, StoreError, PolicyKeyError, OSError) as error:
        is_refusal = isinstance(error, BundleError) and not isinstance(error, OpaFailed)
        _fail(command, str(error), FOUND if is_refusal else FAULT)


def _print(found: ShadowReport, json_output: bool) -> None:
    if json_output:
        counted = {"decided": found.decided, "disagreed": found.disagreed}
        typer.echo(json.dumps({**found.model_dump(mode="json"), **counted}))
        return
    shadow = found.shadow
    until = f" to {_date(shadow.stopped_at)}" if shadow.stopped_at is not None else ""
    typer.echo(f"{shadow.revision} in the shadow from {_date(shadow.started_at)}{until}, by {shadow.started_by}")
    typer.echo(f"{found.decided:,} decisions compared: {found.agreed:,} agree, {found.disagreed:,} do not")
    for change in DISAGREEMENTS:
        if found.changes.get(change):
            typer.echo(f"{found.changes[change]:,} {TITLES[change]}")
    if found.failed:
        typer.echo(f"on {found.failed:,} more the candidate gives no decision")
    if found.dropped:
        typer.echo(f"{found.dropped:,} more were not asked: they came faster than it decides")
    if found.groups:
        rows = [
            Row(one.change, one.action, one.reason, one.segment, (one.count,), one.samples[0] if one.samples else "")
            for one in found.groups
        ]
        show_groups(rows, ("decisions",), "CANDIDATE")


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def _fail(command: str, message: str, status: int) -> NoReturn:
    typer.echo(f"ztfm policy shadow {command}: {message}", err=True)
    raise typer.Exit(status) from None
