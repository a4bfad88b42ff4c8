"""``ztfm policy publish``, ``rollback`` and ``status``, on the store itself: they need no control plane that runs."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from controlplane.bundles import BundleRefused, PolicyKeyError
from controlplane.bundles.archive import MAX_PACKED_BYTES
from controlplane.cli.configured import load_settings
from controlplane.cli.local import local_user
from controlplane.cli.served import served
from controlplane.cli.stores import existing_store
from controlplane.contracts.policies import LAYERS, PolicyLayer, Refusal, Release
from controlplane.releases.building import WasmError, build
from controlplane.releases.errors import NoSuchRelease, ReleaseConflict
from controlplane.releases.publishing import Publisher
from controlplane.releases.standing import stand
from controlplane.releasing import build_publisher, signer_of, trust_of
from controlplane.serving_certificate import AUTHORITY, FOLDER
from controlplane.settings import Settings
from controlplane.sidecar import BundleError, SidecarError, locate_opa
from controlplane.sidecar.errors import OpaFailed
from controlplane.sidecar.folders import product_folder
from controlplane.storage import Store
from controlplane.storage.errors import StoreError
from controlplane.telemetry import configure_logs

REFUSED, FAULT = 1, 2
RECENT = 5

Result = TypeVar("Result")

Layer = Annotated[PolicyLayer, typer.Option(help="Whose policies they are.")]
StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the group ``ztfm policy``."""
    app.command("publish")(publish)
    app.command("rollback")(rollback)
    app.command("status")(status)


def publish(
    bundle: Annotated[Path | None, typer.Argument(help="A signed bundle of `ztfm policy build`.")] = None,
    policies: Annotated[
        Path | None, typer.Option(help="Or a folder, which is built and signed with this machine's key.")
    ] = None,
    layer: Layer = "base",
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Publish policies: every control plane on the same store decides by them within two seconds, without a restart.

    They are verified, built again from the source in the bundle, checked and tested first. What is refused changes
    nothing.

    Exits with 0 when they are released, with 1 when they are refused, with 2 when it could not be tried.

    Example: `ztfm policy publish --policies my-policies`
    """
    settings = load_settings(state_dir=state_dir)
    if bundle is not None and policies is not None:
        _fail("publish", "name a bundle or a folder, not both", FAULT)
    if bundle is None and policies is None and layer != "base":
        _fail("publish", f"name a bundle, or the folder of the {layer}'s policies with --policies", FAULT)

    async def _work(_store: Store, publisher: Publisher) -> Release:
        if bundle is None:
            _say("building and signing")
        body = await asyncio.to_thread(signed_body, settings, bundle, policies, layer)
        _say("checking and testing, which takes some seconds")
        return await publisher.publish(body, layer, local_user())

    release = _run("publish", settings, layer, _work, json_output)
    if layer not in settings.layers:
        typer.echo(f"ztfm policy publish: ZTFM_POLICY_LAYERS names no {layer}: here it decides nothing", err=True)
    _told("is published", release, json_output)


def _say(what: str) -> None:
    typer.echo(f"{what} ...", err=True)


def rollback(
    to: Annotated[str | None, typer.Option(metavar="REVISION", help="A revision that `status` lists.")] = None,
    layer: Layer = "base",
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Go back to what decided before, or to a revision by name; it decides again within two seconds.

    Again, it goes back further. What was gone back from is no step on the way back any more: after A, B, back to A and
    then C, one goes back from C to A.

    Exits with 0 when it is released again, with 1 when there is nothing to go back to or its bundle is refused, with 2
    when it could not be tried.

    Example: `ztfm policy rollback`
    """
    settings = load_settings(state_dir=state_dir)

    async def _work(_store: Store, publisher: Publisher) -> Release:
        return await publisher.rollback(layer, to, local_user())

    _told("is released again", _run("rollback", settings, layer, _work, json_output), json_output)


def status(
    recent: Annotated[int, typer.Option(min=1, max=50, help="Releases of each layer to list.")] = RECENT,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Say what is released for each layer, by whom and when, and what a control plane that runs decides by.

    Exits with 0 when all is as it is to be, with 1 when a layer has no policies or another revision decides, with 2
    when it could not be looked at.

    Example: `ztfm policy status --json`
    """
    settings = load_settings(state_dir=state_dir)

    async def _work(store: Store) -> tuple[dict[PolicyLayer, Release], dict[PolicyLayer, list[Release]]]:
        heads = await store.releases.heads()
        return heads, {layer: await store.releases.recent((layer,), recent) for layer in LAYERS if layer in heads}

    try:
        heads, history = asyncio.run(_with_store(settings, _work))
    except (StoreError, OSError) as error:
        _fail("status", str(error), FAULT)
    serving = served(settings.resolved_public_url, settings.state_dir / FOLDER / AUTHORITY)
    revision = "" if serving is None else str(serving.get("policy_revision", ""))
    refused = {} if serving is None else {item["layer"]: item["refused"] for item in serving.get("policies", ())}
    standing = stand(settings.engine, revision, settings.layers, heads, {}, time.time())
    found = {
        "layers": [
            {
                **item.model_dump(mode="json", exclude={"refusal"}),
                "refused": refused.get(item.layer),
                "recent": [release.model_dump(mode="json") for release in history.get(item.layer, ())],
            }
            for item in standing.layers
        ],
        "serving": {
            "url": settings.resolved_public_url,
            "reachable": serving is not None,
            "engine": None if serving is None else serving.get("engine"),
            "policy_revision": revision,
        },
    }
    if json_output:
        typer.echo(json.dumps(found))
    else:
        _show(found)
    if _is_off(found):
        raise typer.Exit(REFUSED)


def _is_off(found: dict[str, Any]) -> bool:
    """Whether an expected layer has no policies, or decides by others than those that are released."""
    expected = [item for item in found["layers"] if item["is_expected"]]
    if any(item["release"] is None or item["refused"] for item in expected):
        return True
    is_serving = found["serving"]["reachable"]
    return is_serving and any(item["active_revision"] != item["release"]["revision"] for item in expected)


def signed_body(settings: Settings, bundle: Path | None, policies: Path | None, layer: PolicyLayer) -> bytes:
    """Return a bundle as it is, or one of a folder that is built and signed with this machine's key.

    Raises:
        BundleError: the folder does not make a bundle.
        SidecarError: there is no OPA to build with.
        PolicyKeyError: this machine's key cannot be used.
        OSError: it cannot be read.
    """
    if bundle is not None:
        with bundle.open("rb") as file:
            return file.read(MAX_PACKED_BYTES + 1)
    folder = policies or settings.policies or product_folder("policies")
    opa = locate_opa(os.environ)
    try:
        made = build(opa, folder, layer)
    except WasmError:
        made = build(opa, folder, layer, wasm=False)
    return signer_of(settings).sign(made.files, layer, made.revision)


def _run(
    command: str,
    settings: Settings,
    layer: PolicyLayer,
    work: Callable[[Store, Publisher], Awaitable[Release]],
    json_output: bool,
) -> Release:
    async def _with_publisher(store: Store) -> Release:
        trust = await asyncio.to_thread(trust_of, settings)
        return await work(store, build_publisher(store, trust, time.time, Uncounted()))

    # What is worth saying is said below.
    configure_logs("error", json=False)
    try:
        return asyncio.run(_with_store(settings, _with_publisher))
    except BundleRefused as refused:
        if json_output:
            typer.echo(json.dumps({"layer": layer, "refused": refused.reason, "detail": refused.detail}))
        _fail(command, f"refused ({refused.reason}): {refused.detail}", REFUSED)
    except NoSuchRelease as error:
        _fail(command, str(error), REFUSED)
    except (SidecarError, StoreError, PolicyKeyError, ReleaseConflict, OSError) as error:
        is_refusal = isinstance(error, BundleError) and not isinstance(error, OpaFailed)
        _fail(command, str(error), REFUSED if is_refusal else FAULT)


async def _with_store(settings: Settings, work: Callable[[Store], Awaitable[Result]]) -> Result:
    async with existing_store(settings) as store:
        return await work(store)


class Uncounted:
    """Counts nothing: a command has no metrics, and says what came of it."""

    def released(self, release: Release) -> None:
        """Count nothing."""

    def refused(self, refusal: Refusal) -> None:
        """Count nothing."""


def _told(what: str, release: Release, json_output: bool) -> None:
    if json_output:
        typer.echo(release.model_dump_json())
        return
    typer.echo(f"{release.layer} revision {release.revision} {what} (release {release.sequence})")


def _show(found: dict[str, Any]) -> None:
    for item in found["layers"]:
        release = item["release"]
        if release is None:
            typer.echo(f"{item['layer']}: nothing is published; until then everything is denied")
            continue
        age = _age(item["age_seconds"])
        typer.echo(f"{item['layer']}: {release['revision']}, {age} ago by {release['published_by']}")
        typer.echo(f"  {release['origin']}, signed by {release['key_id']}")
        if not item["is_expected"]:
            typer.echo("  ZTFM_POLICY_LAYERS does not name this layer: here it decides nothing")
        if item["refused"]:
            typer.echo(f"  the control plane refuses it ({item['refused']}); see its log")
    serving = found["serving"]
    by = f"decides by {serving['policy_revision'] or 'nothing'}" if serving["reachable"] else "does not answer"
    without = ", without OPA (engine embedded)" if serving["engine"] == "embedded" else ""
    typer.echo(f"the control plane at {serving['url']} {by}{without}")
    for release in (one for item in found["layers"] for one in item["recent"]):
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(release["published_at"]))
        typer.echo(
            f"{release['sequence']:>6}  {release['layer']:6}  {release['revision']}  {release['origin']:11}  "
            f"{when}  {release['published_by']}"
        )


def _age(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _fail(command: str, message: str, code: int) -> NoReturn:
    typer.echo(f"ztfm policy {command}: {message}", err=True)
    raise typer.Exit(code) from None
