"""``ztfm tls``: certificates for loopback and labs. Elsewhere, bring the ones that your devices trust already."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from controlplane.capabilities.errors import CapabilityError
from controlplane.cli.configured import load_settings
from controlplane.entry import authorities_of
from controlplane.identity.authorities import NoAuthority
from controlplane.serving_certificate import AUTHORITY, CERTIFICATE, FOLDER, KEY, write_certificate

app = typer.Typer(
    help="TLS certificates for loopback and labs.\n\nExample: `ztfm tls init --host 127.0.0.1`", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Keep ``init`` a subcommand while it is the only one."""


@app.command("init")
def init(
    host: Annotated[list[str], typer.Option(help="Name or address of the server; may be given several times.")],
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a server certificate, valid for 397 days, and the authority that signs it and the clients' certificates.

    Run again, it writes a new server certificate, of the authority that signs then (`ztfm authority list`).

    Example: `ztfm tls init --host localhost --host 127.0.0.1`
    """
    settings = load_settings(state_dir=state_dir)
    folder = settings.state_dir.resolve() / FOLDER
    try:
        now = time.time()
        authorities = authorities_of(settings).open(now)
        write_certificate(folder, host, authorities.signing(now), authorities.trusted_pem(now), now)
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    except (CapabilityError, NoAuthority, OSError, ValueError) as error:
        typer.echo(f"ztfm tls init: {error}", err=True)
        raise typer.Exit(1) from None
    files = {
        "ZTFM_TLS_CERT_FILE": str(folder / CERTIFICATE),
        "ZTFM_TLS_KEY_FILE": str(folder / KEY),
        "authority": str(folder / AUTHORITY),
        "expires_at": certificate.not_valid_after_utc.isoformat(),
    }
    if json_output:
        typer.echo(json.dumps(files))
        return
    typer.echo(f"export ZTFM_TLS_CERT_FILE={files['ZTFM_TLS_CERT_FILE']}")
    typer.echo(f"export ZTFM_TLS_KEY_FILE={files['ZTFM_TLS_KEY_FILE']}")
    typer.echo(f"# clients trust {files['authority']}; the certificate is valid until {files['expires_at']}")
