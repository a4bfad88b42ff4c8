"""``ztfm serve``: a control plane with its OPA sidecar."""

import asyncio
import json
import signal
import socket
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from aiohttp import web
from pydantic import ValidationError

from controlplane.app import StartFailed, build_app
from controlplane.settings import Settings
from controlplane.sidecar import BundleError, OpaNotFound
from controlplane.storage import StoreUnavailable
from controlplane.telemetry import configure_logs

MAX_HEADER_BYTES = 16_384
SHUTDOWN_SECONDS = 5.0


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Private folder for database, keys and sidecar.")] = None,
    policies: Annotated[Path | None, typer.Option(help="Policy folder, instead of the built-in one.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the start-up line as JSON.")] = False,
) -> None:
    """Keep a control plane with its OPA sidecar running until interrupted.

    Example: `ztfm serve --port 8181 --state-dir state`
    """
    settings = load_settings(listen_host=host, listen_port=port, state_dir=state_dir, policies=policies)
    configure_logs(settings.log_level, json=settings.log_format == "json")
    try:
        uvloop.run(_run(settings, json_output))
    except (StartFailed, OpaNotFound, BundleError, StoreUnavailable, OSError) as error:
        typer.echo(f"ztfm serve: {error}", err=True)
        raise typer.Exit(1) from None


def load_settings(**given: Any) -> Settings:
    """Return the settings from the environment, with what was given on the command line on top.

    Exits with status 2 and the names of the settings that do not fit.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for item in error.errors(include_input=False):
            name = "ZTFM_" + "_".join(str(part) for part in item["loc"]).upper() if item["loc"] else "settings"
            typer.echo(f"{name}: {item['msg']}", err=True)
        raise typer.Exit(2) from None


async def _run(settings: Settings, json_output: bool) -> None:
    listener = socket.create_server((settings.listen_host, settings.listen_port), backlog=1024)
    port = listener.getsockname()[1]
    bound = settings.model_copy(update={"listen_port": port})
    runner = web.AppRunner(
        build_app(bound),
        access_log=None,
        max_field_size=MAX_HEADER_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        shutdown_timeout=SHUTDOWN_SECONDS,
        keepalive_timeout=75.0,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        _announce(bound, json_output)
        await stop.wait()
    finally:
        await runner.cleanup()
        listener.close()


def _announce(settings: Settings, json_output: bool) -> None:
    url = settings.resolved_public_url
    if json_output:
        typer.echo(json.dumps({"url": url, "state_dir": str(settings.state_dir.resolve())}))
        return
    typer.echo(f"control plane ready at {url}  (health: {url}/readyz, metrics: {url}/metrics; stop: Ctrl-C)")
