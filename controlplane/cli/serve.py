"""``ztfm serve``: a control plane with its OPA sidecar."""

import asyncio
import json
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import structlog
import typer
import uvloop

from controlplane.api.listening import ListenError
from controlplane.api.serving import serving
from controlplane.app import build_app
from controlplane.capabilities.errors import CapabilityError
from controlplane.cli.configured import load_settings
from controlplane.entry import follow_certificate, open_listeners, reserve_listeners
from controlplane.parts import METRICS, StartFailed
from controlplane.settings import Settings
from controlplane.sharing.counted import SHAPES
from controlplane.sharing.memory import Memory
from controlplane.sidecar import SidecarError
from controlplane.storage.errors import StoreError
from controlplane.telemetry import configure_logs
from controlplane.workers.parent import WorkerFailed, Workers, count_of, settings_of_workers
from controlplane.workers.worker import collect_less_often

_log = structlog.get_logger("ztfm.serve")
_ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Private folder for database, keys and sidecar.")] = None,
    policies: Annotated[Path | None, typer.Option(help="Policy folder, instead of the built-in one.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, max=64, help="Processes that serve; 0 takes as many as the cores bear.")
    ] = None,
    engine: Annotated[
        Literal["opa", "embedded"] | None,
        typer.Option(help="What evaluates policies: an OPA, or WebAssembly in this process where none can run."),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve TLS 1.3 alone, with a certificate of this control plane's authority.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the start-up line as JSON.")] = False,
) -> None:
    """Keep a control plane with its OPA sidecar running until interrupted.

    Example: `ztfm serve --port 8181 --state-dir state`
    """
    settings = load_settings(
        listen_host=host,
        listen_port=port,
        state_dir=state_dir,
        policies=policies,
        workers=workers,
        engine=engine,
        tls_own=tls or None,
    )
    configure_logs(settings.log_level, json=settings.log_format == "json")
    try:
        uvloop.run(_run(settings, json_output))
    except (StartFailed, WorkerFailed, ListenError, SidecarError, StoreError, CapabilityError, OSError) as error:
        typer.echo(f"ztfm serve: {error}", err=True)
        raise typer.Exit(1) from None


async def _run(settings: Settings, json_output: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = asyncio.create_task(_serve(settings, json_output))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def _serve(settings: Settings, json_output: bool) -> None:
    if settings.listen_host in _ANY_ADDRESS and settings.public_url is None:
        _log.warning("no_public_url", remedy="set ZTFM_PUBLIC_URL: devices sign the URL that they reach this under")
    count = count_of(settings)
    if count > 1:
        await _serve_by(count, settings, json_output)
    bound, listeners = open_listeners(settings)
    app = build_app(bound)
    async with serving(app, *listeners):
        collect_less_often()
        app[METRICS].edge.workers.set(1)
        _announce(bound, 1, json_output)
        await follow_certificate(bound, listeners)
        await asyncio.get_running_loop().create_future()


async def _serve_by(count: int, settings: Settings, json_output: bool) -> None:
    """Serve by several workers; this process is their parent."""
    bound, reserved = reserve_listeners(settings)
    inherited = next((item.socket for item in reserved if item.path is not None), None)
    memory = Memory.create(SHAPES)
    app = build_app(bound)
    try:
        async with serving(app):
            workers = Workers(settings_of_workers(bound), count, memory, inherited, app[METRICS])
            async with workers.running():
                _announce(bound, count, json_output)
                await asyncio.get_running_loop().create_future()
    finally:
        memory.close()
        for listener in reserved:
            listener.socket.close()
            if listener.path is not None:
                listener.path.unlink(missing_ok=True)


def _announce(settings: Settings, workers: int, json_output: bool) -> None:
    url = settings.resolved_public_url
    if json_output:
        found = {"url": url, "state_dir": str(settings.state_dir.resolve()), "workers": workers}
        found["engine"] = settings.engine
        if settings.resolved_tls_public_url:
            found["tls_url"] = settings.resolved_tls_public_url
        if settings.listen_socket is not None:
            found["socket"] = str(settings.listen_socket.resolve())
        typer.echo(json.dumps(found))
        return
    over = settings.resolved_tls_public_url
    also = [over] if over and over != url else []
    also += [str(settings.listen_socket)] if settings.listen_socket is not None else []
    places = ", ".join([url, *also])
    typer.echo(f"control plane ready at {places}  (health: {url}/readyz, metrics: {url}/metrics; stop: Ctrl-C)")
