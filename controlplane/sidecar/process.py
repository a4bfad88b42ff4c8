"""Run OPA as a child process: on a Unix socket, behind a token, restarted with back-off, ended with its parent."""

import asyncio
import contextlib
import ctypes
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from controlplane.sidecar.bundle import write_config, write_private
from controlplane.sidecar.locate import OpaBinary

FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 5.0
STABLE_AFTER_SECONDS = 30.0
STOP_GRACE_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


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


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Sidecar:
    """A supervised OPA. ``start`` returns once the process runs; readiness is asked for over its API."""

    def __init__(
        self,
        options: SidecarOptions,
        *,
        on_restart: Callable[[int], None] = lambda _code: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.options = options
        self.token = secrets.token_urlsafe(32)
        self._on_restart = on_restart
        self._sleep = sleep
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Process id while OPA runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def start(self) -> None:
        """Write configuration and token, start OPA and watch over it."""
        options = self.options
        options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options.folder.chmod(0o700)
        write_config(options.folder / "opa-config.json", options.bundle)
        write_private(options.folder / "opa-token", self.token)
        await self._spawn()
        self._watch = asyncio.create_task(self._supervise(), name="opa-supervisor")

    async def stop(self) -> None:
        """Stop OPA: ask, wait up to 5 s, then kill. Safe to call twice."""
        self._stopping = True
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_GRACE_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        self.options.socket.unlink(missing_ok=True)

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
            "--disable-telemetry",
            "--log-level=error",
            "--log-format=json",
            str(options.authorisation),
        ]

    async def _spawn(self) -> None:
        self.options.socket.unlink(missing_ok=True)
        environment = {"PATH": os.environ.get("PATH", ""), "ZTFM_OPA_TOKEN": self.token}
        self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )

    async def _supervise(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        loop = asyncio.get_running_loop()
        while not self._stopping and self._process is not None:
            started = loop.time()
            code = await self._process.wait()
            if loop.time() - started > STABLE_AFTER_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            self._on_restart(code)
            await self._sleep(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
            await self._spawn()
