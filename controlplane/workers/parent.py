"""Several processes that serve on the same ports, and the one that begins, watches and ends them.

The parent is a control plane that listens nowhere: it has the store's upkeep, the signing keys' rotation, the policies
and their sidecar. Each worker is one that listens and asks the parent's sidecar. One that ends is begun again; when the
parent ends, however it does, all end.
"""

import asyncio
import os
import signal
import socket
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from controlplane.settings import Settings
from controlplane.sharing.memory import Memory
from controlplane.sidecar.parent import die_with_parent
from controlplane.telemetry import Metrics
from controlplane.telemetry.merging import Snapshot, expose, lasting, merge, take_snapshot
from controlplane.workers.channel import Channel

FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 5.0
STABLE_AFTER_SECONDS = 30.0
STOP_SECONDS = 10.0
COLLECT_SECONDS = 1.0
HUNG_SECONDS = 30.0
"""A worker speaks every five seconds; one that has not for so long is killed and begun again."""

_log = structlog.get_logger("ztfm.workers")


class WorkerFailed(Exception):  # noqa: N818 - a state, as callers see it
    """A worker ended before all were ready; the message says what to do."""


def recommended_workers(cpus: int) -> int:
    """Return how many workers keep ``cpus`` cores busy: OPA takes two fifths of a decision, workers the rest."""
    return max(1, -(-3 * cpus // 5))


@dataclass(eq=False)
class _Worker:
    """One place for a worker, and the process that holds it now."""

    number: int
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None
    channel: Channel | None = None
    snapshot: Snapshot = field(default_factory=list)
    heard_at: float = 0.0
    collected: asyncio.Event = field(default_factory=asyncio.Event)

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class Workers:
    """The workers of a control plane.

    Args:
        settings: of the workers; their ports are known.
        count: how many.
        memory: what they count together.
        inherited: a Unix socket that listens, which each of them takes connections from; none without one.
        metrics: of the parent.
        first_backoff: seconds before the first restart; doubled for each that follows, up to 5 s.
    """

    def __init__(
        self,
        settings: Settings,
        count: int,
        memory: Memory,
        inherited: socket.socket | None,
        metrics: Metrics,
        *,
        first_backoff: float = FIRST_BACKOFF_SECONDS,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._inherited = inherited
        self._metrics = metrics
        self._first_backoff = first_backoff
        self._workers = [_Worker(number) for number in range(count)]
        self._retired: Snapshot = []
        self._collecting: asyncio.Task[Snapshot] | None = None
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def pids(self) -> list[int]:
        """The process ids of those that run."""
        found = [worker.process for worker in self._workers]
        return [process.pid for process in found if process is not None and process.returncode is None]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have all of them serve for as long as the context is entered.

        Raises:
            WorkerFailed: one of them did not start.
        """
        keeping = [self._spawn(self._keep(worker)) for worker in self._workers]
        try:
            await self._all_ready(keeping)
            _log.info("workers_ready", workers=len(self._workers))
            yield
        finally:
            await self._end(keeping)

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of all of them and the parent as those of one, and their content type."""
        if self._collecting is None:
            self._collecting = self._spawn(self._collect())
            self._collecting.add_done_callback(lambda _: setattr(self, "_collecting", None))
        # One caller's cancellation must not cancel the answer of the others.
        return expose(await asyncio.shield(self._collecting), accept)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _all_ready(self, keeping: Sequence["asyncio.Task[None]"]) -> None:
        ready = [self._spawn(worker.ready.wait()) for worker in self._workers]
        for one in ready:
            await asyncio.wait({one, *keeping}, return_when=asyncio.FIRST_COMPLETED)
            for ended in keeping:
                if ended.done():
                    await ended

    async def _end(self, keeping: Sequence["asyncio.Task[None]"]) -> None:
        self._stop.set()
        for worker in self._workers:
            worker.signal(signal.SIGTERM)
        _, late = await asyncio.wait(keeping, timeout=STOP_SECONDS)
        if late:
            for worker in self._workers:
                worker.signal(signal.SIGKILL)
            await asyncio.wait(late)
        for task in keeping:
            # What kept one from starting was told already.
            if not task.cancelled():
                task.exception()
        for left in list(self._tasks):
            left.cancel()

    async def _keep(self, worker: _Worker) -> None:
        """Begin a worker, and again whenever it has ended, until all are to stop."""
        backoff, was_ready = self._first_backoff, False
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            started = loop.time()
            code = await self._live(worker)
            was_ready = was_ready or worker.ready.is_set()
            self._retire(worker)
            if self._stop.is_set():
                return
            if not was_ready:
                raise WorkerFailed(
                    f"worker {worker.number} ended with status {code} while it started; its log says why"
                )
            if loop.time() - started > STABLE_AFTER_SECONDS:
                backoff = self._first_backoff
            self._metrics.edge.worker_restarts.inc()
            _log.error("worker_ended", worker=worker.number, exit_code=code, remedy="it is begun again")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), backoff)
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)

    async def _live(self, worker: _Worker) -> int:
        """Begin a worker and return the status with which it ended."""
        ours, theirs = socket.socketpair()
        try:
            handed = [theirs.fileno(), self._memory.descriptor]
            handed += [self._inherited.fileno()] if self._inherited is not None else []
            worker.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "controlplane.workers.worker", str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=handed,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )
        except OSError as error:
            ours.close()
            _log.error("worker_cannot_start", worker=worker.number, error=error.strerror)
            return -1
        finally:
            theirs.close()
        if self._stop.is_set():
            worker.signal(signal.SIGTERM)
        worker.channel = await Channel.over(ours)
        listening = self._spawn(self._listen(worker, worker.channel))
        watching = self._spawn(self._watch(worker))
        try:
            await worker.channel.send(self._beginning(worker))
            return await worker.process.wait()
        finally:
            watching.cancel()
            # What it said last still counts.
            await asyncio.wait({listening}, timeout=COLLECT_SECONDS)
            listening.cancel()
            worker.channel.close()

    def _beginning(self, worker: _Worker) -> dict[str, Any]:
        return {
            "is": "begin",
            "number": worker.number,
            "settings": self._settings.model_dump(mode="json"),
            "memory": self._memory.descriptor,
            "secret": b64encode(self._memory.secret).decode(),
            "socket": None if self._inherited is None else self._inherited.fileno(),
        }

    async def _listen(self, worker: _Worker, channel: Channel) -> None:
        while (message := await channel.receive()) is not None:
            worker.heard_at = asyncio.get_running_loop().time()
            if message["is"] == "ready":
                worker.ready.set()
                self._show()
            elif message["is"] == "snapshot":
                worker.snapshot = message["families"]
                worker.collected.set()
            elif message["is"] == "scrape":
                self._spawn(self._answer(channel, message["number"], message["accept"]))

    async def _watch(self, worker: _Worker) -> None:
        loop = asyncio.get_running_loop()
        worker.heard_at = loop.time() + self._settings.start_seconds
        while True:
            await asyncio.sleep(1.0)
            if loop.time() - worker.heard_at > HUNG_SECONDS:
                _log.error("worker_hung", worker=worker.number, remedy="it is killed and begun again")
                worker.signal(signal.SIGKILL)
                worker.heard_at = loop.time()

    def _retire(self, worker: _Worker) -> None:
        """Keep what a worker counted, and nothing of what it was."""
        self._retired = merge([self._retired, lasting(worker.snapshot)])
        worker.snapshot, worker.process, worker.channel = [], None, None
        worker.ready.clear()
        self._show()

    def _show(self) -> None:
        self._metrics.edge.workers.set(sum(worker.ready.is_set() for worker in self._workers))

    async def _answer(self, channel: Channel, number: int, accept: str) -> None:
        text, content_type = await self.exposition(accept)
        await channel.send({"is": "exposition", "number": number, "text": text.decode(), "type": content_type})

    async def _collect(self) -> Snapshot:
        asked = [worker for worker in self._workers if worker.ready.is_set()]
        # One that does not answer in time is shown as it was five seconds ago at most.
        await asyncio.gather(*(_ask(worker) for worker in asked))
        shown = [take_snapshot(self._metrics.registry), self._retired, *(worker.snapshot for worker in self._workers)]
        return merge(shown)


async def _ask(worker: _Worker) -> None:
    worker.collected.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(COLLECT_SECONDS):
            if worker.channel is not None and await worker.channel.send({"is": "collect"}):
                await worker.collected.wait()


def settings_of_workers(settings: Settings) -> Settings:
    """Return how workers run: as the parent does, with the parent's sidecar instead of one of their own."""
    changed: dict[str, Any] = {"workers": 1, "bundle_dir": None}
    if settings.engine == "opa" and settings.opa_mode == "child":
        folder = settings.state_dir.resolve() / "opa"
        changed |= {"opa_mode": "external", "opa_socket": folder / "opa.sock", "opa_token_file": folder / "opa-token"}
    return settings.model_copy(update=changed)


def count_of(settings: Settings) -> int:
    """Return how many workers the settings ask for."""
    return settings.workers or recommended_workers(os.cpu_count() or 1)
