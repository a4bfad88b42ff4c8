"""``ztfm sidecar``: what an OPA that runs on its own needs, and new policies without a restart."""

import json
import os
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.serve import load_settings
from controlplane.sidecar import SidecarError, build_bundle, locate_opa
from controlplane.sidecar.bundle import write_config, write_private
from controlplane.sidecar.folders import product_folder
from controlplane.sidecar.management import look
from controlplane.sidecar.publishing import RESOURCE

CONFIG = "opa-config.json"
KEPT = "kept"
PUBLIC = "public"
PUBLISHER_URL = "http://127.0.0.1:8183"
TOKEN = "opa-token"  # noqa: S105 - a file's name
GROUP_READABLE = 0o640

app = typer.Typer(
    help="The sidecar's policies, configuration and token.\n\nExample: `ztfm sidecar publish --policies policies`",
    no_args_is_help=True,
)

Policies = Annotated[Path | None, typer.Option(help="Policy folder, instead of the built-in one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("publish")
def publish(
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder.")] = None,
    policies: Policies = None,
    json_output: AsJson = False,
) -> None:
    """Hand new policies to the OPA of a control plane that runs; they decide within two seconds.

    Policies that do not compile are refused and change nothing.

    Example: `ztfm sidecar publish --policies policies`
    """
    folder = load_settings(state_dir=state_dir).state_dir.resolve() / "opa"
    if not folder.is_dir():
        typer.echo(f"ztfm sidecar publish: {folder} does not exist; start the control plane first", err=True)
        raise typer.Exit(1)
    _publish("publish", folder / RESOURCE, policies, json_output)


@app.command("prepare")
def prepare(
    directory: Annotated[Path, typer.Option("--dir", help="Private folder that OPA reads from.")],
    publisher_url: Annotated[str, typer.Option(help="Where OPA finds what is in DIR/public.")] = PUBLISHER_URL,
    metrics_token: Annotated[
        Path | None, typer.Option(help="Also make the token of /metrics in this file, for our group to read.")
    ] = None,
    policies: Policies = None,
    json_output: AsJson = False,
) -> None:
    """Write what an external OPA starts from: bundle, configuration, and a token, which is kept where there is one.

    The token of `/metrics` is for the control plane (`ZTFM_METRICS_TOKEN_FILE`) and Prometheus, which run as others.

    Done again, it hands new policies to the OPA that runs.

    Example: `ztfm sidecar prepare --dir /run/ztfm`
    """
    folder = directory.resolve()
    try:
        (folder / PUBLIC).mkdir(parents=True, exist_ok=True, mode=0o700)
        keep_token(folder / TOKEN)
        if metrics_token is not None:
            keep_token(metrics_token, GROUP_READABLE)
        # The publisher listens where only OPA reaches it and asks for no token; OPA's configuration wants one.
        write_config(folder / CONFIG, publisher_url, secrets.token_urlsafe(32), RESOURCE, folder / KEPT)
        _publish("prepare", folder / PUBLIC / RESOURCE, policies, json_output)
        # What an earlier run kept may be older than what is to decide from the next start on.
        shutil.rmtree(folder / KEPT, ignore_errors=True)
    except OSError as error:
        typer.echo(f"ztfm sidecar prepare: {error}", err=True)
        raise typer.Exit(1) from None


@app.command("status")
def status(
    url: Annotated[str | None, typer.Option(help="Where OPA listens on TCP; ZTFM_OPA_URL or ZTFM_OPA_TCP.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with its token; ZTFM_OPA_TOKEN_FILE.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder.")] = None,
    json_output: AsJson = False,
) -> None:
    """Say whether an OPA is up, which revision decides, and what is loaded; exits with 1 when it cannot decide.

    Example: `ztfm sidecar status --url http://127.0.0.1:8182 --token-file state/opa/opa-token`
    """
    settings = load_settings(state_dir=state_dir)
    listening = url or settings.opa_url or (f"http://{settings.opa_tcp}" if settings.opa_tcp else None)
    if listening is None:
        typer.echo("ztfm sidecar status: OPA listens on no TCP address: give --url, or set ZTFM_OPA_TCP", err=True)
        raise typer.Exit(2)
    secret = token_file or settings.opa_token_file or settings.state_dir.resolve() / "opa" / TOKEN
    try:
        condition = look(listening, secret.read_text().strip())
    except (OSError, ValueError) as error:
        typer.echo(f"ztfm sidecar status: {error}", err=True)
        raise typer.Exit(2) from None
    if json_output:
        typer.echo(json.dumps({"url": listening, **asdict(condition)}))
    elif condition.trouble:
        typer.echo(f"OPA at {listening} cannot decide: {condition.trouble}")
    else:
        count = len(condition.policies)
        typer.echo(f"OPA at {listening} decides by revision {condition.policy_revision} ({count} modules)")
    if condition.trouble or not condition.is_healthy:
        raise typer.Exit(1)


def keep_token(path: Path, mode: int = 0o600) -> None:
    """Put a new token into ``path``, unless it holds one: whoever uses that one must not be locked out."""
    if not (path.is_file() and path.read_text().strip()):
        write_private(path, secrets.token_urlsafe(32))
    path.chmod(mode)


def _publish(command: str, bundle: Path, policies: Path | None, json_output: bool) -> None:
    try:
        source = policies or load_settings().policies or product_folder("policies")
        revision = build_bundle(locate_opa(os.environ), source, bundle)
    except (SidecarError, OSError) as error:
        typer.echo(f"ztfm sidecar {command}: {error}", err=True)
        raise typer.Exit(1) from None
    if json_output:
        typer.echo(json.dumps({"bundle": str(bundle), "policy_revision": revision}))
    else:
        typer.echo(f"policy revision {revision} is in {bundle}")
