"""Run OPA as a child process: on a Unix socket, behind a token, restarted with back-off, ended with its parent."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from controlplane.sidecar.bundle import write_config, write_private
from controlplane.sidecar.errors import SidecarError
from controlplane.sidecar.locate import OpaBinary
from controlplane.sidecar.parent import die_with_parent
from controlplane.sidecar.publishing import RESOURCE, BundlePublisher

FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 5.0
STABLE_AFTER_SECONDS = 30.0
STOP_GRACE_SECONDS = 5.0
MAX_SOCKET_PATH_BYTES = 103
GO_RUNTIME = {"GOGC": "800", "GOMEMLIMIT": "1GiB"}
"""Evaluation leaves much garbage and little else: collecting it less often saved a third of OPA's processor time, for
memory that the limit bounds."""

_NEVER_STARTED = -1

_log = structlog.get_logger("ztfm.sidecar")


@dataclass(frozen=True)
class SidecarOptions:
    """How the sidecar runs.

    Attributes:
        opa: the binary.
        folder: private folder for socket, token and configuration.
        bundle: the policy bundle file; replacing it publishes a new revision.
        authorisation: ``system.authz`` policy of OPA's own API.
        tcp: also listen on this ``host:port``.
    """

    opa: OpaBinary
    folder: Path
    bundle: Path
    authorisation: Path
    tcp: str | None = None

    @property
    def socket(self) -> Path:
        """The Unix socket that OPA listens on."""
        return self.folder / "opa.sock"


class Sidecar:
    """A supervised OPA. ``start`` returns once the process runs; readiness is asked for over its API.

    Args:
        options: how it runs.
        on_restart: told the exit code of an OPA that ended by itself, -1 for one that could not be started.
        first_backoff: seconds before the first restart; doubled for each that follows, up to 5 s.
    """

    def __init__(
        self,
        options: SidecarOptions,
        *,
        on_restart: Callable[[int], None] = lambda _code: None,
        first_backoff: float = FIRST_BACKOFF_SECONDS,
    ) -> None:
        self.options = options
        self.token = secrets.token_urlsafe(32)
        self._publisher = BundlePublisher(options.bundle)
        self._on_restart = on_restart
        self._first_backoff = first_backoff
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._lock: IO[str] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while OPA runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def start(self) -> None:
        """Write configuration and token, start OPA and watch over it.

        Raises:
            SidecarError: another process uses the folder, its path is too long for a socket, or OPA does not start.
            OSError: the folder cannot be written.
        """
        options = self.options
        if len(os.fsencode(options.socket)) > MAX_SOCKET_PATH_BYTES:
            raise SidecarError(f"{options.socket} is too long a path for a Unix socket; choose a shorter state folder")
        options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options.folder.chmod(0o700)
        self._lock = _lock(options.folder / "lock")
        kept = options.folder / "kept"
        # What an earlier run kept may be older than what is to decide now.
        shutil.rmtree(kept, ignore_errors=True)
        url = await self._publisher.start()
        write_config(options.folder / "opa-config.json", url, self._publisher.token, RESOURCE, kept)
        write_private(options.folder / "opa-token", self.token)
        try:
            await self._spawn()
        except OSError as error:
            await self.stop()
            raise SidecarError(f"{options.opa.path} cannot be started: {error.strerror}") from None
        self._watch = asyncio.create_task(self._supervise(), name="opa-supervisor")

    async def stop(self) -> None:
        """Stop OPA: ask, wait up to 5 s, then kill. Safe to call twice."""
        self._stop.set()
        if self._watch is not None:
            self._signal(signal.SIGTERM)
            done, _ = await asyncio.wait({self._watch}, timeout=STOP_GRACE_SECONDS)
            if not done:
                self._signal(signal.SIGKILL)
                await self._watch
        await self._publisher.stop()
        if self._lock is not None:
            self.options.socket.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """End an OPA that no longer answers; it is restarted."""
        _log.error("sidecar_hung", remedy="it is killed and restarted")
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _command(self) -> list[str]:
        options = self.options
        command = [str(options.opa.path), "run", "--server", "--addr", f"unix://{options.socket}"]
        if options.tcp:
            command += ["--addr", options.tcp]
        return [
            *command,
            "--config-file",
            str(options.folder / "opa-config.json"),
            "--authentication=token",
            "--authorization=basic",
            "--unix-socket-perm=600",
            "--optimize-store-for-read-speed",
            "--skip-version-check",
            "--log-level=error",
            "--log-format=json",
            str(options.authorisation),
        ]

    async def _spawn(self) -> None:
        self.options.socket.unlink(missing_ok=True)
        environment = {"PATH": os.environ.get("PATH", ""), **GO_RUNTIME, "ZTFM_OPA_TOKEN": self.token}
        self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )

    async def _supervise(self) -> None:
        backoff = self._first_backoff
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            code = await self._ended()
            if self._stop.is_set():
                return
            if loop.time() - started > STABLE_AFTER_SECONDS:
                backoff = self._first_backoff
            self._on_restart(code)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), backoff)
                return
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
            await self._respawn()

    async def _ended(self) -> int:
        return _NEVER_STARTED if self._process is None else await self._process.wait()

    async def _respawn(self) -> None:
        self._process = None
        try:
            await self._spawn()
        except OSError as error:
            _log.error("sidecar_cannot_start", error=error.strerror, remedy="look at the OPA binary and its folder")
        if self._stop.is_set():
            self._signal(signal.SIGTERM)


def _lock(path: Path) -> IO[str]:
    """Hold ``path`` for this process alone, so that no other takes the socket away from under it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SidecarError(f"another control plane runs in {path.parent.parent}; stop it or choose another") from None
    return file
