"""``ztfm sidecar``: what an OPA that runs on its own starts from, and how it stands."""

import json
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from controlplane.bundles import PolicyKeyError
from controlplane.cli.configured import load_settings
from controlplane.releasing import keys_for_opa, trust_of
from controlplane.settings import Settings
from controlplane.sidecar.configuring import CONFIG, KEPT, write_config
from controlplane.sidecar.files import write_private
from controlplane.sidecar.management import look

PUBLISHER_URL = "http://127.0.0.1:8183"
TOKEN = "opa-token"  # noqa: S105 - a file's name
GROUP_READABLE = 0o640

app = typer.Typer(
    help="The sidecar's configuration and tokens.\n\nExample: `ztfm sidecar prepare --dir /run/ztfm`",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]


@app.command("prepare")
def prepare(
    directory: Annotated[Path, typer.Option("--dir", help="Private folder that OPA reads from.")],
    publisher_url: Annotated[
        str, typer.Option(help="Where OPA finds the bundles that the control plane puts into ZTFM_BUNDLE_DIR.")
    ] = PUBLISHER_URL,
    metrics_token: Annotated[
        Path | None, typer.Option(help="Also make the token of /metrics in this file, for our group to read.")
    ] = None,
    alerts_token: Annotated[
        Path | None, typer.Option(help="Also make the token of /v1/alerts in this file, for our group to read.")
    ] = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Write what an external OPA starts from: configuration, expected layers, and a token, kept where there is one.

    The configuration names the keys that policies may be signed by: those of `ZTFM_POLICY_TRUST_DIR`, else this
    machine's, which is made when there is none. Done again after they changed, OPA must be restarted. The policies
    come from the control plane.

    The token of `/metrics` is for the control plane (`ZTFM_METRICS_TOKEN_FILE`) and Prometheus, which run as others;
    that of `/v1/alerts` for the control plane (`ZTFM_ALERTS_TOKEN_FILE`) and Alertmanager.

    Example: `ztfm sidecar prepare --dir /run/ztfm`
    """
    folder = directory.resolve()
    settings = load_settings(state_dir=state_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        keep_token(folder / TOKEN)
        for shared in (metrics_token, alerts_token):
            if shared is not None:
                keep_token(shared, GROUP_READABLE)
        keys = keys_for_opa(trust_of(settings), settings.layers)
        # Who serves the bundles listens where only OPA reaches it and asks for no token; OPA's configuration wants one.
        unasked = secrets.token_urlsafe(32)
        write_config(folder, publisher_url, unasked, layers=settings.layers, keys=keys, hold=False)
        # What an earlier run kept may be older than what is to decide from the next start on.
        shutil.rmtree(folder / KEPT, ignore_errors=True)
    except (PolicyKeyError, OSError) as error:
        typer.echo(f"ztfm sidecar prepare: {error}", err=True)
        raise typer.Exit(1) from None
    if json_output:
        typer.echo(json.dumps({"config": str(folder / CONFIG), "layers": settings.layers, "keys": sorted(keys)}))
    else:
        typer.echo(f"{folder} is prepared; policies for {', '.join(settings.layers)} may be signed by:")
        for name in sorted(keys):
            typer.echo(f"  {name}")


@app.command("status")
def status(
    url: Annotated[str | None, typer.Option(help="Where OPA listens on TCP; ZTFM_OPA_URL or ZTFM_OPA_TCP.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with its token; ZTFM_OPA_TOKEN_FILE.")] = None,
    state_dir: StateDir = None,
    json_output: AsJson = False,
) -> None:
    """Say whether an OPA is up, which revision decides, and what is loaded; exits with 1 when it cannot decide.

    Example: `ztfm sidecar status --url http://127.0.0.1:8182 --token-file state/opa/opa-token`
    """
    settings = load_settings(state_dir=state_dir)
    listening = url or settings.opa_url or (_own(settings) if settings.opa_tcp else None)
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


def _own(settings: Settings) -> str:
    scheme = "http" if settings.tls_cert_file is None else "https"
    return f"{scheme}://{settings.opa_tcp}"


def keep_token(path: Path, mode: int = 0o600) -> None:
    """Put a new token into ``path``, unless it holds one: whoever uses that one must not be locked out."""
    if not (path.is_file() and path.read_text().strip()):
        write_private(path, secrets.token_urlsafe(32))
    path.chmod(mode)
