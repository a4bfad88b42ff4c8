"""A control plane of one's own: `ztfm serve` as a child process, on a free port, in a private folder."""

import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from controlplane.sidecar import OpaNotFound, locate_opa
from controlplane.sidecar.parent import die_with_parent

START_SECONDS = 60.0
STOP_SECONDS = 15.0
LOG_LINES = 20


Engine = Literal["opa", "embedded"]
"""What evaluates the policies."""


class PlaneFailed(Exception):  # noqa: N818 - a state, as callers see it
    """The control plane did not start; the message holds the last lines of its log."""


@dataclass(frozen=True)
class Plane:
    """A running control plane.

    Attributes:
        url: where it answers.
        state_dir: its private folder.
        pid: of its process; OPA is that process's child.
        engine: what evaluates its policies.
    """

    url: str
    state_dir: Path
    pid: int
    engine: Engine

    @property
    def metrics_token(self) -> str:
        """What lets us read its metrics."""
        return (self.state_dir / "metrics-token").read_text().strip()


def engine_here() -> Engine:
    """Return what can evaluate policies on this machine: an OPA, or the embedded engine where none is to be had.

    An ``OPA_BIN`` that does not work is no reason to go on without: the control plane then says what is wrong.
    """
    try:
        locate_opa(os.environ)
    except OpaNotFound:
        is_there = importlib.util.find_spec("opapywasm") is not None
        return "embedded" if is_there and not os.environ.get("OPA_BIN") else "opa"
    return "opa"


@contextmanager
def serving(
    folder: Path, engine: Engine = "opa", attestation_roots: Path | None = None, policies: Path | None = None
) -> Iterator[Callable[[], Plane]]:
    """Run a control plane in ``folder`` for as long as the block lasts.

    It speaks TLS 1.3 alone, by its own authority, which this process and those that it starts meanwhile trust as they
    trust the system's (``SSL_CERT_FILE``).

    Args:
        folder: private; its state and log go there.
        engine: what evaluates its policies.
        attestation_roots: of evidence that it takes of platforms; none takes none.
        policies: folder of those that decide; none for the built-in ones.

    Yields:
        What waits until it answers, so that its start costs no time to whoever has something else to do first. It
        raises `PlaneFailed` where it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state_dir = folder / "state"
    command = [sys.executable, "-m", "controlplane.cli", "serve", "--port", "0", "--engine", engine, "--json"]
    chosen = [] if policies is None else ["--policies", str(policies.resolve())]
    log = folder / "control-plane.log"
    with log.open("wb") as errors:
        # A session of its own: Ctrl-C reaches the demo alone, which then stops the control plane last. A demo that
        # is killed stops nothing: the kernel then asks the control plane to end.
        process = subprocess.Popen(  # noqa: S603 - our own command, no shell; no thread runs yet
            [*command, "--state-dir", str(state_dir), *chosen],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(attestation_roots),
            start_new_session=True,
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
        )
    try:
        with _trusting(state_dir / "tls" / "authority.pem"):
            yield lambda: _plane(_announced(process, log), state_dir, process.pid)
    finally:
        _stop(process)


@contextmanager
def _trusting(authority: Path) -> Iterator[None]:
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(authority)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before


def _environment(attestation_roots: Path | None) -> dict[str, str]:
    """The caller's environment without settings that would join this run to another control plane's state."""
    kept = ("ZTFM_OPA_BIN", "ZTFM_LOG_LEVEL", "ZTFM_LOG_FORMAT")
    own = {"ZTFM_TLS_OWN": "true"}
    if attestation_roots is not None:
        own["ZTFM_ATTESTATION_ROOTS"] = str(attestation_roots)
    return {name: value for name, value in os.environ.items() if not name.startswith("ZTFM_") or name in kept} | own


def _plane(announced: dict[str, str], state_dir: Path, pid: int) -> Plane:
    return Plane(announced["url"], state_dir, pid, "embedded" if announced["engine"] == "embedded" else "opa")


def _announced(process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    assert process.stdout is not None  # noqa: S101 - Popen was given a pipe
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if select.select([process.stdout], [], [], 0.2)[0]:
            line = process.stdout.readline()
            if line.strip():
                return dict(json.loads(line))
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    raise PlaneFailed(f"the control plane did not start; 'ztfm doctor' says what is missing\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
