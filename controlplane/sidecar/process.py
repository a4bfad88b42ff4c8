"""Run OPA as a child process: on a Unix socket, behind a token, restarted with back-off, ended with its parent."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import structlog

from controlplane.contracts.policies import PolicyLayer
from controlplane.sidecar.configuring import CONFIG, EXPECTED, KEPT, write_config
from controlplane.sidecar.errors import SidecarError
from controlplane.sidecar.files import write_private
from controlplane.sidecar.locate import OpaBinary
from controlplane.sidecar.parent import die_with_parent
from controlplane.sidecar.publishing import BundlePublisher

FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 5.0
STABLE_AFTER_SECONDS = 30.0
MAX_SOCKET_PATH_BYTES = 103
GO_RUNTIME = {"GOGC": "800", "GOMEMLIMIT": "1GiB"}
"""Evaluation leaves much garbage and little else: collecting it less often saved a third of OPA's processor time, for
memory that the limit bounds."""

ASIDE_RUNTIME = {"GOMEMLIMIT": "512MiB", "GOMAXPROCS": "1"}
ASIDE_NICENESS = 19
"""One that only looks on has one processor at most, and that only as far as nobody else wants it."""

_NEVER_STARTED = -1

_log = structlog.get_logger("ztfm.sidecar")


@dataclass(frozen=True)
class SidecarOptions:
    """How the sidecar runs.

    Attributes:
        opa: the binary.
        folder: private folder for socket, token and configuration.
        modules: what OPA has beside its bundles, and no bundle can change: ``system.authz`` of its own API, and how
            layers are combined.
        tcp: also listen on this ``host:port``.
        certificate: PEM file that it serves TLS 1.3 with at ``tcp``; none serves it plain.
        key: PEM file with its private key.
        layers: those that decide, the base first.
        keys: public keys by id, as PEM; OPA takes no bundle that none of them signed. None takes unsigned ones.
        is_aside: nobody waits for its answers; it gives way to everything else on the machine.
    """

    opa: OpaBinary
    folder: Path
    modules: tuple[Path, ...]
    tcp: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    layers: tuple[PolicyLayer, ...] = ("base",)
    keys: Mapping[str, str] | None = None
    is_aside: bool = False

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
        self._publisher = BundlePublisher()
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

    def offer(self, layer: PolicyLayer, body: bytes) -> None:
        """Hand OPA a layer's bundle, at once when it runs and when it starts; on the loop that started it."""
        self._publisher.offer(layer, body)

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
        try:
            await self._begin()
        except BaseException:
            # Cancelled half-way, too, it must hold neither folder nor port.
            await self.stop()
            raise
        self._watch = asyncio.create_task(self._supervise(), name="opa-supervisor")

    async def _begin(self) -> None:
        options = self.options
        # What an earlier run kept may be older than what is to decide now.
        shutil.rmtree(options.folder / KEPT, ignore_errors=True)
        url = await self._publisher.start()
        write_config(options.folder, url, self._publisher.token, layers=options.layers, keys=options.keys)
        write_private(options.folder / "opa-token", self.token)
        try:
            await self._spawn()
        except OSError as error:
            raise SidecarError(f"{options.opa.path} cannot be started: {error.strerror}") from None

    async def stop(self) -> None:
        """End OPA. Safe to call twice.

        It is not asked to end: it holds nothing that a kill could damage, and would log its held request for bundles
        as an error each time.
        """
        self._stop.set()
        try:
            if self._watch is not None:
                self._signal(signal.SIGKILL)
                await self._watch
            await self._publisher.stop()
        finally:
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
        if options.tcp and options.certificate is not None:
            command += ["--addr", f"https://{options.tcp}", "--tls-cert-file", str(options.certificate)]
            command += ["--tls-private-key-file", str(options.key), "--min-tls-version", "1.3"]
            command += ["--tls-cert-refresh-period", "60s"]
        elif options.tcp:
            command += ["--addr", options.tcp]
        return [
            *command,
            "--config-file",
            str(options.folder / CONFIG),
            "--authentication=token",
            "--authorization=basic",
            "--unix-socket-perm=600",
            "--optimize-store-for-read-speed",
            "--skip-version-check",
            "--log-level=error",
            "--log-format=json",
            *map(str, options.modules),
            str(options.folder / EXPECTED),
        ]

    async def _spawn(self) -> None:
        self.options.socket.unlink(missing_ok=True)
        runtime = ASIDE_RUNTIME if self.options.is_aside else GO_RUNTIME
        environment = {"PATH": os.environ.get("PATH", ""), **runtime, "ZTFM_OPA_TOKEN": self.token}
        self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=partial(_before_exec, ASIDE_NICENESS if self.options.is_aside else 0),
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
            self._signal(signal.SIGKILL)


def _before_exec(niceness: int) -> None:
    die_with_parent()
    if niceness:
        # Every thread of the child is to have it; set from outside, only its first one would.
        os.nice(niceness)
        # Where memory runs out, it goes before whatever decides. Only Linux has this.
        with contextlib.suppress(OSError):
            os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC), b"1000")


def _lock(path: Path) -> IO[str]:
    """Hold ``path`` for this process alone, so that no other takes the socket away from under it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SidecarError(f"another control plane runs in {path.parent.parent}; stop it or choose another") from None
    return file
