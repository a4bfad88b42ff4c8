"""A worker: ``python -m controlplane.workers.worker FD``. The parent begins it and tells it what to do."""

import asyncio
import gc
import itertools
import signal
import socket
import sys
import time
from base64 import b64decode
from contextlib import suppress
from typing import Any

import structlog
import uvloop

from controlplane.api.listening import Listener, ListenError
from controlplane.api.serving import serving
from controlplane.app import build_app
from controlplane.capabilities.errors import CapabilityError
from controlplane.entry import follow_certificate, open_listeners
from controlplane.parts import METRICS, StartFailed
from controlplane.settings import Settings
from controlplane.sharing.counted import SHAPES, Part, shared
from controlplane.sharing.memory import Memory
from controlplane.sidecar import SidecarError
from controlplane.storage.errors import StoreError
from controlplane.telemetry import configure_logs
from controlplane.telemetry.merging import take_snapshot
from controlplane.telemetry.metrics import Metrics
from controlplane.workers.channel import Channel

SPEAK_SECONDS = 5.0
"""How often a worker tells its parent what it counted: so much is lost of one that is killed."""

SCRAPE_SECONDS = 3.0

_log = structlog.get_logger("ztfm.worker")


def collect_less_often() -> None:
    """Look for cycles less often: requests leave few behind, and looking every 700 allocations cost a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class Talking:
    """The worker's side of the channel.

    Args:
        channel: to the parent.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers = itertools.count()
        self._scrapes: dict[int, asyncio.Future[tuple[str, str]]] = {}

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of all workers as a scraper takes them, and their content type.

        Raises:
            TimeoutError: the parent does not answer.
        """
        number = next(self._numbers)
        answer = self._scrapes[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(SCRAPE_SECONDS):
                await self._channel.send({"is": "scrape", "number": number, "accept": accept})
                text, content_type = await answer
                return text.encode(), content_type
        finally:
            del self._scrapes[number]

    async def listen(self, metrics: Metrics) -> None:
        """Answer the parent until it is gone."""
        while (message := await self._channel.receive()) is not None:
            if message["is"] == "collect":
                await self.tell(metrics)
            elif message["is"] == "exposition":
                waiting = self._scrapes.get(message["number"])
                if waiting is not None and not waiting.done():
                    waiting.set_result((message["text"], message["type"]))

    async def speak(self, metrics: Metrics) -> None:
        """Say that all is ready, then every five seconds what was counted, for ever."""
        await self._channel.send({"is": "ready"})
        while True:
            await self.tell(metrics)
            await asyncio.sleep(SPEAK_SECONDS)

    async def tell(self, metrics: Metrics) -> None:
        """Say what was counted."""
        await self._channel.send({"is": "snapshot", "families": take_snapshot(metrics.registry)})


async def work(descriptor: int) -> None:
    """Serve as the parent says, until it says stop, or is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # Ctrl-C reaches the whole group; the parent says when.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    channel = await Channel.over(socket.socket(fileno=descriptor))
    begin = await channel.receive()
    if begin is None:
        return
    running = asyncio.create_task(_serve(begin, channel))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def _serve(begin: dict[str, Any], channel: Channel) -> None:
    settings = Settings(**begin["settings"])
    configure_logs(settings.log_level, json=settings.log_format == "json")
    structlog.contextvars.bind_contextvars(worker=begin["number"])
    counted = shared(Memory(begin["memory"], b64decode(begin["secret"]), SHAPES), time.time)
    talking = Talking(channel)
    _, listeners = open_listeners(settings.model_copy(update={"listen_socket": None}), together=True)
    if begin["socket"] is not None:
        listeners.append(Listener(socket.socket(fileno=begin["socket"])))
    app = build_app(settings, part=Part(counted, talking.exposition))
    async with serving(app, *listeners):
        collect_less_often()
        tasks = [
            asyncio.create_task(talking.listen(app[METRICS])),
            asyncio.create_task(talking.speak(app[METRICS])),
            asyncio.create_task(follow_certificate(settings, listeners)),
        ]
        try:
            # The channel ends with the parent.
            await tasks[0]
            _log.error("parent_gone", remedy="this worker ends too")
        finally:
            await talking.tell(app[METRICS])
            for task in tasks:
                task.cancel()


def main() -> None:
    """Work until told to stop; status 1 when it cannot begin."""
    try:
        uvloop.run(work(int(sys.argv[1])))
    except (StartFailed, ListenError, SidecarError, StoreError, CapabilityError, OSError) as error:
        _log.error("worker_failed", error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
